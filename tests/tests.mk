# What checks, measures and packages Merpati; included by the Makefile.

.PHONY: unit
unit: $(UNIT_TESTS)
	@tests/run-unit $(UNIT_TESTS)
