/*
 * Tokens and the keys by which they are signed, for the tests of auth/token.h.
 */
#ifndef TESTS_UNIT_TOKEN_ROWS_H
#define TESTS_UNIT_TOKEN_ROWS_H

#include "tests/unit/rows.h"

/* Made once with keys that were then thrown away. now is 1000. */
#define KEYS \
	"{\"keys\":[{\"kty\":\"RSA\",\"kid\":\"r1\",\"n\":\"3eRRgkg5bqSg9OIfDpWFlhKyJkJwbjdI3E8ed0_tJrqAC68wb" \
	"fXAupONcHr84ho_z3HDYA8Ur4EsySMNRmpHjKyUsofX9YVb_SoAfC-PmT05li4XBo2zPtYodKZZ_x5dJUHOrOll0RmTrgQZDu5MC" \
	"Inn_wvbOYu9Ko4DolKPC0--YPEx5RyF1pRKuPGOAwYyDZsbqhifpDm-hBxrCxcRZnVAooYR4xBfQHdKvmKiM8XbbDlmc80SOwhhO" \
	"jy8eb0-bIxr65fqkHMTrbYZ4FNpCNZKbRFhq1IQZrudItHsl11zTQEA19ursIoFNkD9c_LMCjSYq-UjWrtQGb2TyFPBpw\",\"e" \
	"\":\"AQAB\",\"use\":\"sig\",\"alg\":\"RS256\"},{\"kty\":\"EC\",\"crv\":\"P-256\",\"kid\":\"e1\",\"x" \
	"\":\"sdL6A-6kwwbzyQFS6VS5PE2iXI85275Ocp4o3cX9ZsU\",\"y\":\"C3SXCTbn3r9HEyOZ4TP3gjbs2GokEPS2UckrF501W" \
	"9Y\"},{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"kid\":\"d1\",\"x\":\"ua3q9F8GrlxFSRXv3tAEtvC8qd4fkXM8lV" \
	"QhNGQNDZs\"},{\"kty\":\"RSA\",\"kid\":\"klein\",\"n\":\"0ZJlVXPsPICcr5f43doIj-ijS-mV6j1gp9i7DH-Ybifr" \
	"PMfXTca-dAlYsRdo2-HGWyNfsQbpB57SLGyD-R4Y8W0YlHv-Yhqs83Hn9dBnmZiu4ka4thq8j5guB55LBNuIS6_opppV-tlrrxN7" \
	"8v2lGupdMq6tK6pvcmsgt-2wNbU\",\"e\":\"AQAB\"},{\"kty\":\"oct\",\"k\":\"AAAA\"},{\"kty\":\"EC\",\"crv" \
	"\":\"P-256\",\"kid\":\"enc\",\"x\":\"sdL6A-6kwwbzyQFS6VS5PE2iXI85275Ocp4o3cX9ZsU\",\"y\":\"C3SXCTbn3" \
	"r9HEyOZ4TP3gjbs2GokEPS2UckrF501W9Y\",\"use\":\"enc\"},{\"kty\":\"RSA\",\"kid\":\"ps\",\"n\":\"3eRRgk" \
	"g5bqSg9OIfDpWFlhKyJkJwbjdI3E8ed0_tJrqAC68wbfXAupONcHr84ho_z3HDYA8Ur4EsySMNRmpHjKyUsofX9YVb_SoAfC-PmT" \
	"05li4XBo2zPtYodKZZ_x5dJUHOrOll0RmTrgQZDu5MCInn_wvbOYu9Ko4DolKPC0--YPEx5RyF1pRKuPGOAwYyDZsbqhifpDm-hB" \
	"xrCxcRZnVAooYR4xBfQHdKvmKiM8XbbDlmc80SOwhhOjy8eb0-bIxr65fqkHMTrbYZ4FNpCNZKbRFhq1IQZrudItHsl11zTQEA19" \
	"ursIoFNkD9c_LMCjSYq-UjWrtQGb2TyFPBpw\",\"e\":\"AQAB\",\"use\":\"sig\",\"alg\":\"PS256\"}]}"

static const struct {
	const char *what;
	bool good;
	struct str token;
} tokens[] = {
    {"RS256 with kid", true,
	STR("eyJhbGciOiJSUzI1NiIsImtpZCI6InIxIiwidHlwIjoiSldUIn0.eyJpc3MiOiJodHRwczovL2lkcC50ZXN0IiwiYXVkIjoibWFp"
	    "bCIsImV4cCI6MjAwMCwiZW1haWwiOiJiYXJ1QHNhdHUudGVzdCJ9.sLgLsbM7SWDBbowHJahCO_7Ra5MrgtuzPzD-YqDHakwmRdB"
	    "2ekCh4j2qC791X-69kcyhsICnKLq27DXzHAPuxKxE_5ydI26IiseCpfklhApRLzvdSAAeYTE-tGj5TI6kyG0biPaomcZ732o7O4i"
	    "NTz_iWmozBVZXb-u_SKqbfxaT6R-5s_0Aoh8suGJHCDkeaeqomkNSKoRiANL90KJXrX9dV0gPyD_Rj3zC_TSBrCc2cieEdwKFTaT"
	    "ZUBPM1oG_FQnIJXw7Sbm4w2HjXvUW9n0FXnq3nW9sPl0sOHEJnt1SBclLVNjbio-6xwx0JeXVFNAO__a-PErHnJ1icYpNUQ")},
    {"RS256 at+jwt", true,
	STR("eyJhbGciOiJSUzI1NiIsInR5cCI6ImF0K2p3dCJ9.eyJpc3MiOiJodHRwczovL2lkcC50ZXN0IiwiYXVkIjoibWFpbCIsImV4cCI"
	    "6MjAwMCwiZW1haWwiOiJiYXJ1QHNhdHUudGVzdCJ9.T06iw-g_5vPbN24HnUUXA0cQJfRa0iBJwtD1b3gRHoXpm1rk3MA2zqkjnM"
	    "B0M5qN7sjlWIACSH419RUMTetWzZ_kdwuE8I91F_ziM_uAh6E5JNGGMRUa92SbSSUmPk9gYKbyekL5Lv8fovU-Yl09iVtzCTPI4R"
	    "Cjs8gd8BOkXKeYci6KyywVLBFEfxL-P3xj3XSdxVeSzTa_FkJk2K9xn46ZBYbVpBCa2rb1qZYkk-lG60uVMGURCLUEjo1T6wiPlc"
	    "w0qnEsl-vDHcl-u_fsOXN_mGxvUVh5Gy8FWBRSeJAL1tlo-5nUIinDM3LgMSAW3qFfrk6Rfdx3LNtDC6oDLQ")},
    {"ES256", true,
	STR("eyJhbGciOiJFUzI1NiIsImtpZCI6ImUxIn0.eyJpc3MiOiJodHRwczovL2lkcC50ZXN0IiwiYXVkIjoibWFpbCIsImV4cCI6MjAw"
	    "MCwiZW1haWwiOiJiYXJ1QHNhdHUudGVzdCJ9.P1kJJtX-G5k54kVBOEJMlnavo6GRne_5t8yfaXdPxpEjvgdV-ldNLP_tLFyIX_P"
	    "TAu4iBJeorHNkC0-97x1ICw")},
    {"EdDSA", true,
	STR("eyJhbGciOiJFZERTQSIsImtpZCI6ImQxIn0.eyJpc3MiOiJodHRwczovL2lkcC50ZXN0IiwiYXVkIjoibWFpbCIsImV4cCI6MjAw"
	    "MCwiZW1haWwiOiJiYXJ1QHNhdHUudGVzdCJ9.C2947WVc7zncRKKmCqAl1GSZK_BnP0eh2DjnhPfnuvirOOQc3-_4LCB2QSP64or"
	    "gfBQ7eitvs7ykn_I5zEJ9AA")},
    {"ES256 without kid", true,
	STR("eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJodHRwczovL2lkcC50ZXN0IiwiYXVkIjoibWFpbCIsImV4cCI6MjAwMCwiZW1haWwiOiJ"
	    "iYXJ1QHNhdHUudGVzdCJ9.gdvfCxgOuF3MFbiju39cDOlpLSdC0AxVYZs7_fS84kQ8iP0xh312b-JvNQ4WJuGYBIuECXp1lAT52e"
	    "2UCdckvA")},
    {"several audiences", true,
	STR("eyJhbGciOiJFZERTQSJ9.eyJpc3MiOiJodHRwczovL2lkcC50ZXN0IiwiYXVkIjpbIndlYiIsIm1haWwiXSwiZXhwIjoyMDAwLCJ"
	    "lbWFpbCI6ImJhcnVAc2F0dS50ZXN0In0.D7zZsp9X25zHaNpuM-ZQyONl_xWihDszQwSc_iYR3KmM5n8FyFsRMWqLZhOhjlKifQi"
	    "STfERgTIiVwTFsGXDBg")},
    {"nbf in the past", true,
	STR("eyJhbGciOiJFZERTQSJ9.eyJpc3MiOiJodHRwczovL2lkcC50ZXN0IiwiYXVkIjoibWFpbCIsImV4cCI6MjAwMCwiZW1haWwiOiJ"
	    "iYXJ1QHNhdHUudGVzdCIsIm5iZiI6OTAwfQ.uNXWm64CfghDSs-eRvdcBgoOaSmH4kXoeYM-0xigrHe8nqCoT8YY2QBOouEvvc-d"
	    "togCBmz5jHQ5B6xaDYtUCg")},
    {"a little expired", true,
	STR("eyJhbGciOiJFZERTQSJ9.eyJpc3MiOiJodHRwczovL2lkcC50ZXN0IiwiYXVkIjoibWFpbCIsImV4cCI6OTgwLCJlbWFpbCI6ImJ"
	    "hcnVAc2F0dS50ZXN0In0.GjG8oPytbguQn-LdOd9SxWTdoSKgi2EYByBkGENmOHhKFqzD-Er-DNgYjOEJ118qwXkpSHCPt-JyoVl"
	    "_xDD5Bg")},
    {"email verified", true,
	STR("eyJhbGciOiJFZERTQSJ9.eyJpc3MiOiJodHRwczovL2lkcC50ZXN0IiwiYXVkIjoibWFpbCIsImV4cCI6MjAwMCwiZW1haWwiOiJ"
	    "iYXJ1QHNhdHUudGVzdCIsImVtYWlsX3ZlcmlmaWVkIjp0cnVlfQ._AU8B9kl5VSaLUE9SAFgLiCLUUJWXvfRyXEii-Nc2Sp_8tgv"
	    "ycGzDY8ji-nICpxJwZ8XZ49oh7M50oweMbPODA")},
    {"kid of another key", false,
	STR("eyJhbGciOiJFZERTQSIsImtpZCI6ImUxIn0.eyJpc3MiOiJodHRwczovL2lkcC50ZXN0IiwiYXVkIjoibWFpbCIsImV4cCI6MjAw"
	    "MCwiZW1haWwiOiJiYXJ1QHNhdHUudGVzdCJ9.Xnmo7ocfy_ma-kV01wWjSxM9TKESu9X05hdsSq2MOEoL-n1Gs0FatQzXokPayUA"
	    "ANDjVQSZEtGZ2aCtCqyrAAA")},
    {"unknown kid", false,
	STR("eyJhbGciOiJFZERTQSIsImtpZCI6Inp6In0.eyJpc3MiOiJodHRwczovL2lkcC50ZXN0IiwiYXVkIjoibWFpbCIsImV4cCI6MjAw"
	    "MCwiZW1haWwiOiJiYXJ1QHNhdHUudGVzdCJ9.7UXfDoJD86qpvOqv8tZdf1r2nnL9cbybvolLWGBtU-GD-9TUTkO1Q4reysWYOx9"
	    "evCPU8AvAwOeoY76TwutlAA")},
    {"another typ", false,
	STR("eyJhbGciOiJFZERTQSIsInR5cCI6ImxvZ291dCtqd3QifQ.eyJpc3MiOiJodHRwczovL2lkcC50ZXN0IiwiYXVkIjoibWFpbCIsI"
	    "mV4cCI6MjAwMCwiZW1haWwiOiJiYXJ1QHNhdHUudGVzdCJ9._ALW-rX7hye7trUEBh5kqjSSzwSAwLZSqJEDABewbYGzqLJENI5J"
	    "xFMKsExWVKui9051pKMl7FbvcFAYkf8yAQ")},
    {"crit", false,
	STR("eyJhbGciOiJFZERTQSIsImNyaXQiOlsiZXhwIl19.eyJpc3MiOiJodHRwczovL2lkcC50ZXN0IiwiYXVkIjoibWFpbCIsImV4cCI"
	    "6MjAwMCwiZW1haWwiOiJiYXJ1QHNhdHUudGVzdCJ9.p-dc37B2IBJGGy8KYZjVyn6nZ4RkA0W5M3nj-KCJVHsQZARHvaiccsX3xP"
	    "caR16KsPwroKedHZNTh9bp5nDtAw")},
    {"alg none", false,
	STR("eyJhbGciOiJub25lIn0.eyJpc3MiOiJodHRwczovL2lkcC50ZXN0IiwiYXVkIjoibWFpbCIsImV4cCI6MjAwMCwiZW1haWwiOiJi"
	    "YXJ1QHNhdHUudGVzdCJ9.")},
    {"HS256 with the public key", false,
	STR("eyJhbGciOiJIUzI1NiJ9.eyJpc3MiOiJodHRwczovL2lkcC50ZXN0IiwiYXVkIjoibWFpbCIsImV4cCI6MjAwMCwiZW1haWwiOiJ"
	    "iYXJ1QHNhdHUudGVzdCJ9.fwm4rBa2MtYJVVvnjo0Sf6eOP26zor-wCdabbtXnTKI")},
    {"PS256", false,
	STR("eyJhbGciOiJQUzI1NiIsImtpZCI6InIxIn0.eyJpc3MiOiJodHRwczovL2lkcC50ZXN0IiwiYXVkIjoibWFpbCIsImV4cCI6MjAw"
	    "MCwiZW1haWwiOiJiYXJ1QHNhdHUudGVzdCJ9.KW7hvSQV45fdD5eiicex_JT_kRpG17_nvWUqtbl3Reh48TRgoKSq93q1RbWHYKw"
	    "za_nAuGiY_xpv5ikiL9rT9SqaZWMMHZ-iaOuVQTMYZ-jMlxd072i14KfVCQ33JCFmnN8z1JJcn_oK63r69rFWn-zoTvn6InaDVSu"
	    "zQogWHp9XTW-M0Ov3c_ofBIYOeVaF49XRtuHhm0pZAZzt1ocXR_yf4pab_FAG5rdiJX7sZ4ONqBFeqZwYNRe4wcTP4F0-PEuJlPz"
	    "qYbhaKWsGzm3NOLChUGeTaXjfWxOdB9V32qOfa12X_ifZhIIkjlvciumpg4ud1M5rrh-cIij28TT03w")},
    {"expired", false,
	STR("eyJhbGciOiJFZERTQSJ9.eyJpc3MiOiJodHRwczovL2lkcC50ZXN0IiwiYXVkIjoibWFpbCIsImV4cCI6OTYwLCJlbWFpbCI6ImJ"
	    "hcnVAc2F0dS50ZXN0In0.EyWwQs9UFbWSexX6q8BGNVlKR1Fax85icoSEdvBopiAPxjLimmVGS1CWrcO_Ed_aeOp1mvBHiogK7n5"
	    "3Rk6nBQ")},
    {"no exp", false,
	STR("eyJhbGciOiJFZERTQSJ9.eyJpc3MiOiJodHRwczovL2lkcC50ZXN0IiwiYXVkIjoibWFpbCIsImVtYWlsIjoiYmFydUBzYXR1LnR"
	    "lc3QifQ.9J0_V7N8f1j9weuTqTbKoqbjWlmwHAe7vmqiosjocs8HHcUMMJ7gN05x_t-54g3Fn96qOkBCO7HyXV0y1QRcDQ")},
    {"exp is a text", false,
	STR("eyJhbGciOiJFZERTQSJ9.eyJpc3MiOiJodHRwczovL2lkcC50ZXN0IiwiYXVkIjoibWFpbCIsImV4cCI6IjIwMDAiLCJlbWFpbCI"
	    "6ImJhcnVAc2F0dS50ZXN0In0.stcy4nEO4o1f8CEP7Po1Z7NAIlBx2yhs_UliqdmYquzrIcmUuCWLu3Ldg9o4BJ7gpkeMykWWhGf"
	    "r8KLaCNgQAQ")},
    {"not yet", false,
	STR("eyJhbGciOiJFZERTQSJ9.eyJpc3MiOiJodHRwczovL2lkcC50ZXN0IiwiYXVkIjoibWFpbCIsImV4cCI6MjAwMCwiZW1haWwiOiJ"
	    "iYXJ1QHNhdHUudGVzdCIsIm5iZiI6MTEwMH0.i8i_5ccjtfhAh5RNLU1hri9ObWjQCytiIM1k8AH6iAjrD3Irf8ljBW1XuSDiSwE"
	    "M_diAQdXjt2-bihQGRisxDQ")},
    {"other issuer", false,
	STR("eyJhbGciOiJFZERTQSJ9.eyJpc3MiOiJodHRwczovL2Vsc2UudGVzdCIsImF1ZCI6Im1haWwiLCJleHAiOjIwMDAsImVtYWlsIjo"
	    "iYmFydUBzYXR1LnRlc3QifQ.b__OJ1tg8ogsVahQHCnN2tiJNFs37o9Hxw6tJyzUgEH-codp66gshz5oYaveRtIovijM1rvk6wql"
	    "s5E5MKkoBw")},
    {"no issuer", false,
	STR("eyJhbGciOiJFZERTQSJ9.eyJhdWQiOiJtYWlsIiwiZXhwIjoyMDAwLCJlbWFpbCI6ImJhcnVAc2F0dS50ZXN0In0.7ICS1A8sYdh"
	    "SvyJDPYabhmrfHq4Tamh_UM-kcCTIPa_MlLXkv7HwyD0b02W5HlDnzZHjxxdh_qwlC8AXLHAKBg")},
    {"other audience", false,
	STR("eyJhbGciOiJFZERTQSJ9.eyJpc3MiOiJodHRwczovL2lkcC50ZXN0IiwiYXVkIjoid2ViIiwiZXhwIjoyMDAwLCJlbWFpbCI6ImJ"
	    "hcnVAc2F0dS50ZXN0In0.D1YNmx2mRKEvFxgGAMs0GiUGjpOfmvYlCUmmldyB3ozj8gUJ-CY6bpWsaj9kU6th_HNlVX3qpBIBAT-"
	    "CiTxZAw")},
    {"no audience", false,
	STR("eyJhbGciOiJFZERTQSJ9.eyJpc3MiOiJodHRwczovL2lkcC50ZXN0IiwiZXhwIjoyMDAwLCJlbWFpbCI6ImJhcnVAc2F0dS50ZXN"
	    "0In0.ypdwvJ5oZwU8Ehk3FZrciM64PVyVbFh07Dl4awc-qjfV61JmRVKwfJsjBDMEFjgwrwvjgnj50RXI37wtwkgtAA")},
    {"audience is part of", false,
	STR("eyJhbGciOiJFZERTQSJ9.eyJpc3MiOiJodHRwczovL2lkcC50ZXN0IiwiYXVkIjpbIm1haWxlciJdLCJleHAiOjIwMDAsImVtYWl"
	    "sIjoiYmFydUBzYXR1LnRlc3QifQ.kqS1sXgi8zYij-ab1dak0osIN0DwLq3CFcnGz--4jbYKhID7LEmyMGd4ZRINTYp5xUDhYh0P"
	    "OOAwT3no8xGAAQ")},
    {"no name", false,
	STR("eyJhbGciOiJFZERTQSJ9.eyJpc3MiOiJodHRwczovL2lkcC50ZXN0IiwiYXVkIjoibWFpbCIsImV4cCI6MjAwMH0._b_QgjRe4WC"
	    "1B2KW86TqJqmzGTzaEIAiysfk6Lx280_O9RJwcXi7iip395e084Y_O92TwB3xUg7ggNULHbiKAA")},
    {"empty name", false,
	STR("eyJhbGciOiJFZERTQSJ9.eyJpc3MiOiJodHRwczovL2lkcC50ZXN0IiwiYXVkIjoibWFpbCIsImV4cCI6MjAwMCwiZW1haWwiOiI"
	    "ifQ.Mm6eMJsxrdOvDIVUJ3yl9XyiL3Df9jzmbToaQr-v6yAPnhDvF8e2MzxYxGIv-s5u-zqiBlMlhKq_HAEYKSe3BA")},
    {"name is a number", false,
	STR("eyJhbGciOiJFZERTQSJ9.eyJpc3MiOiJodHRwczovL2lkcC50ZXN0IiwiYXVkIjoibWFpbCIsImV4cCI6MjAwMCwiZW1haWwiOjV"
	    "9.FeOua-FY5BOREPNul3DQuAfZiq5PPOQINALuV0QTYUBDiZjl_RUCSI2gKAJmC2VFaJKoL80h4cDaagiRWKzaCA")},
    {"address not verified", false,
	STR("eyJhbGciOiJFZERTQSJ9.eyJpc3MiOiJodHRwczovL2lkcC50ZXN0IiwiYXVkIjoibWFpbCIsImV4cCI6MjAwMCwiZW1haWwiOiJ"
	    "iYXJ1QHNhdHUudGVzdCIsImVtYWlsX3ZlcmlmaWVkIjpmYWxzZX0.Bv9HL6sQk9vlfo_vMUL9GxjB-pK8E6-zIf1GGQqxoEdUPsC"
	    "nCJOFq_1XbsubPkxO2gdRJRwTUaBGVgN3eVJ0AQ")},
    {"two names", false,
	STR("eyJhbGciOiJFZERTQSJ9.eyJpc3MiOiJodHRwczovL2lkcC50ZXN0IiwiYXVkIjoibWFpbCIsImV4cCI6MjAwMCwiZW1haWwiOiJ"
	    "iYXJ1QHNhdHUudGVzdCIsImVtYWlsIjoibGFtYUBzYXR1LnRlc3QifQ.PbW7bx33D-4pb7Qcmugs1ICKEp6nOUZIoSXoGyoyR-li"
	    "4w6P6IT5jyI_4PVq5e2-K8J7HnMCmVd0O5-fr7OpCg")},
    {"claims are no object", false,
	STR("eyJhbGciOiJFZERTQSJ9.WyJ4Il0.k87KWVqxJr71j-brbHzbUiSc8PE2B8ML8U54GrioA50dhphy3WoWzf4riipHzsg7yG3cIE_"
	    "NDYQHCGV04FD2Cg")},
    {"claims are no JSON", false,
	STR("eyJhbGciOiJFZERTQSJ9.eA.n0NvB-rDy3PGZX-NvpFImvmjiSaq8d05zmY7fFXV-SXyDVV3-PLpTwxPZbA5P9uLG7oHOMuHJnXn"
	    "_PpWtTBKDw")},
    {"signature cut", false,
	STR("eyJhbGciOiJFZERTQSJ9.eyJpc3MiOiJodHRwczovL2lkcC50ZXN0IiwiYXVkIjoibWFpbCIsImV4cCI6MjAwMCwiZW1haWwiOiJ"
	    "iYXJ1QHNhdHUudGVzdCJ9.epdzEELAQr6tZHcywr8MJzgfhBoDEx5YTSmWfCBpzK5v_w1ASymnXI-nfVBCYCDRfAuhZtp5_qzOkt"
	    "rDJ1Jk")},
    {"other claims", false,
	STR("eyJhbGciOiJFZERTQSJ9.eyJpc3MiOiAiaHR0cHM6Ly9pZHAudGVzdCIsICJhdWQiOiAibWFpbCIsICJleHAiOiAyMDAwLCAiZW1"
	    "haWwiOiAibGFtYUBzYXR1LnRlc3QifQ.epdzEELAQr6tZHcywr8MJzgfhBoDEx5YTSmWfCBpzK5v_w1ASymnXI-nfVBCYCDRfAuh"
	    "Ztp5_qzOktrDJ1JkCw")},
    {"no signature", false,
	STR("eyJhbGciOiJFZERTQSJ9.eyJpc3MiOiJodHRwczovL2lkcC50ZXN0IiwiYXVkIjoibWFpbCIsImV4cCI6MjAwMCwiZW1haWwiOiJ"
	    "iYXJ1QHNhdHUudGVzdCJ9.")},
    {"two parts", false,
	STR("eyJhbGciOiJFZERTQSJ9.eyJpc3MiOiJodHRwczovL2lkcC50ZXN0IiwiYXVkIjoibWFpbCIsImV4cCI6MjAwMCwiZW1haWwiOiJ"
	    "iYXJ1QHNhdHUudGVzdCJ9")},
    {"four parts", false,
	STR("eyJhbGciOiJFZERTQSJ9.eyJpc3MiOiJodHRwczovL2lkcC50ZXN0IiwiYXVkIjoibWFpbCIsImV4cCI6MjAwMCwiZW1haWwiOiJ"
	    "iYXJ1QHNhdHUudGVzdCJ9.epdzEELAQr6tZHcywr8MJzgfhBoDEx5YTSmWfCBpzK5v_w1ASymnXI-nfVBCYCDRfAuhZtp5_qzOkt"
	    "rDJ1JkCw.x")},
};

#endif
