#include "queue/doctor_exchanger.h"

static bool
has_certificate(const struct doctor_certificates *certificates, const char *host)
{
	for (size_t i = 0; i < certificates->n; i++)
		if (doctor_certificate_is_for(&certificates->list[i], host))
			return true;
	return false;
}

static void
report_name(struct doctor *d, const struct doctor_certificates *certificates, struct str name)
{
	char host[DNS_NAME_MAX + 1];

	if (!str_copy(host, sizeof host, name))
		return;
	if (has_certificate(certificates, host)) {
		doctor_find(d, DOCTOR_OK, "certificate-name", name, "has a certificate");
		return;
	}
	doctor_find(d, DOCTOR_WARNING, "certificate-name-missing", name, "is an exchanger of ours without a certificate for that name: "
	    "senders that verify it do not deliver");
	doctor_advise(d, "Get one, and give it a section [certificate NAME]");
}

void
doctor_exchangers_report(struct doctor *d, struct doctor_dns *dns, const struct doctor_addresses *own,
    const struct doctor_certificates *certificates)
{
	struct str names[DOCTOR_EXCHANGERS_MAX];
	size_t n = doctor_domains_exchangers(d, dns, own, names, DOCTOR_EXCHANGERS_MAX);

	d->area = DOCTOR_EXCHANGERS;
	for (size_t i = 0; conf_has_tls(d->conf) && i < n; i++)
		report_name(d, certificates, names[i]);
}
