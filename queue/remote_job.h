/*
 * One job of remote: the way from a next hop to a verdict for each recipient. A connection that is open to the site is
 * used; else a server that is ready to take mail is looked for (remote_search.h).
 */
#ifndef QUEUE_REMOTE_JOB_H
#define QUEUE_REMOTE_JOB_H

#include "queue/remote_own.h"
#include "queue/remote_pool.h"
#include "queue/remote_search.h"

struct remote_job;

/* What jobs share, and whom they tell. */
struct remote_jobs {
	struct remote_context context;
	struct remote_sources sources;
	struct str report_sender; /* of our reports on TLS; empty: there are none */
	struct remote_pool pool;
	struct remote_own own;
	struct sasl_credentials *credentials; /* of each [route] of the configuration */
	void (*result)(struct remote_jobs *jobs, uint32_t id, const struct job_result *result);
	/* The job is over and freed after this. */
	void (*done)(struct remote_jobs *jobs, uint32_t id, const struct job_done *done);
	LIST_HEAD(remote_job_list, remote_job) list;
	size_t n;
};

/*
 * Takes the job out of the message, with its descriptor. False: the message is malformed. The results come later, never
 * from inside.
 */
bool remote_job_start(struct remote_jobs *jobs, struct msg *m);
/* Drops all jobs, telling nobody: connections are closed in the middle, so that no message is ended. */
void remote_jobs_drop(struct remote_jobs *jobs);

#endif
