#include "queue/dsn_text.h"

static const struct dsn_text english = {
    .system = "This is the mail system at ",
    .subject =
	{
	    [DSN_FAILED] = "Your message could not be delivered",
	    [DSN_DELAYED] = "Your message is delayed",
	    [DSN_DONE] = "Your message was delivered",
	    [DSN_POSTMASTER] = "Postmaster: a notification could not be delivered",
	},
    .introduction =
	{
	    [DSN_FAILED] = "Your message could not be delivered to the recipients named below. It will\r\n"
			   "not be tried again. The message, or its header, is attached.\r\n\r\n"
			   "If you ask the postmaster for help, please include this notification.\r\n",
	    [DSN_DELAYED] = "Your message could not be delivered to the recipients named below yet.\r\n",
	    [DSN_DONE] = "You asked to be told of what becomes of your message. To the recipients named\r\n"
			 "below it went well.\r\n",
	    [DSN_POSTMASTER] = "A message without return address, which is what notifications are, could not\r\n"
			       "be delivered. Nobody else is told of it.\r\n",
	},
    .until = {"There is nothing you need to do: it is being tried again until\r\n    ",
	"\r\nand you will be told if it fails.\r\n"},
    .expanded_from = " (expanded from <",
    .said = " said:",
    .action =
	{
	    [DSN_ACTION_DELIVERED] = "Delivered to the mailbox.",
	    [DSN_ACTION_RELAYED] = "Passed on to the next mail system, which may not tell you more.",
	    [DSN_ACTION_EXPANDED] = "This address stands for several others, to which it was passed on.",
	},
    .description = {"Notification", "Delivery report", "Your message"},
    .description_header = "Header of your message",
};

static const struct dsn_text indonesian = {
    .system = "Ini sistem surat elektronik di ",
    .subject =
	{
	    [DSN_FAILED] = "Surat Anda tidak dapat disampaikan",
	    [DSN_DELAYED] = "Surat Anda tertunda",
	    [DSN_DONE] = "Surat Anda telah disampaikan",
	    [DSN_POSTMASTER] = "Postmaster: sebuah pemberitahuan tidak dapat disampaikan",
	},
    .introduction =
	{
	    [DSN_FAILED] = "Surat Anda tidak dapat disampaikan kepada penerima di bawah ini, dan tidak\r\n"
			   "akan dicoba lagi. Surat itu, atau kepalanya, terlampir.\r\n\r\n"
			   "Jika Anda meminta bantuan postmaster, mohon sertakan pemberitahuan ini.\r\n",
	    [DSN_DELAYED] = "Surat Anda belum dapat disampaikan kepada penerima di bawah ini.\r\n",
	    [DSN_DONE] = "Anda meminta kabar tentang surat Anda. Kepada penerima di bawah ini surat itu\r\n"
			 "telah dikirim dengan baik.\r\n",
	    [DSN_POSTMASTER] = "Sebuah surat tanpa alamat pengirim, yaitu sebuah pemberitahuan, tidak dapat\r\n"
			       "disampaikan. Tidak ada orang lain yang diberi tahu.\r\n",
	},
    .until = {"Anda tidak perlu berbuat apa-apa: surat itu masih terus dicoba sampai\r\n    ",
	"\r\ndan Anda akan diberi tahu jika gagal.\r\n"},
    .expanded_from = " (diteruskan dari <",
    .said = " menjawab:",
    .action =
	{
	    [DSN_ACTION_DELIVERED] = "Sudah masuk ke kotak surat.",
	    [DSN_ACTION_RELAYED] = "Diteruskan ke sistem surat berikutnya, yang mungkin tidak memberi kabar lagi.",
	    [DSN_ACTION_EXPANDED] = "Alamat ini mewakili beberapa alamat lain; surat diteruskan ke sana.",
	},
    .description = {"Pemberitahuan", "Laporan pengiriman", "Surat Anda"},
    .description_header = "Kepala surat Anda",
};

const struct dsn_text *
dsn_text(enum dsn_language language)
{
	switch (language) {
	case DSN_INDONESIAN:
		return &indonesian;
	case DSN_ENGLISH:
	case DSN_LANGUAGES:
		break;
	}
	return &english;
}
