// SPDX-License-Identifier: MIT
/* Admission of connections by their source; see sources.h. */
#include "sources.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>

#define SWEEP_NS (10 * 1000000000LL)

void sources_init(struct sources *sources)
{
	memset(sources, 0, sizeof(*sources));
	sources->table = g_hash_table_new_full(g_str_hash, g_str_equal, NULL, g_free);
}

void sources_clear(struct sources *sources)
{
	g_clear_pointer(&sources->table, g_hash_table_unref);
}

static void name_source(char name[64], const struct sockaddr *address)
{
	struct in6_addr prefix;

	g_strlcpy(name, "?", 64);
	if (address->sa_family == AF_INET) {
		inet_ntop(AF_INET, &((const struct sockaddr_in *)address)->sin_addr, name, 64);
	} else if (address->sa_family == AF_INET6) {
		prefix = ((const struct sockaddr_in6 *)address)->sin6_addr;
		if (IN6_IS_ADDR_V4MAPPED(&prefix)) {
			inet_ntop(AF_INET, prefix.s6_addr + 12, name, 64);
			return;
		}
		memset(prefix.s6_addr + 8, 0, 8);
		inet_ntop(AF_INET6, &prefix, name, 64);
	}
}

static gboolean is_idle(G_GNUC_UNUSED gpointer key, gpointer value, gpointer now_ns)
{
	const struct source *source = value;

	return !source->unauthenticated && source->debt_ns <= *(const int64_t *)now_ns;
}

static struct source *find(struct sources *sources, const struct sockaddr *address, int64_t now_ns)
{
	struct source *source;
	char name[64];

	if (now_ns - sources->swept_ns > SWEEP_NS) {
		g_hash_table_foreach_remove(sources->table, is_idle, &now_ns);
		sources->swept_ns = now_ns;
	}
	name_source(name, address);
	source = g_hash_table_lookup(sources->table, name);
	if (!source) {
		source = g_new0(struct source, 1);
		g_strlcpy(source->name, name, sizeof(source->name));
		g_hash_table_insert(sources->table, source->name, source);
	}
	return source;
}

/* Never below half of `max`, always at it, and in between the likelier the nearer. */
static bool refuse_early(unsigned int open, unsigned int max, uint32_t random)
{
	unsigned int half = (max + 1) / 2;

	return open >= max || (open >= half && random % (max - half + 1) <= open - half);
}

const char *sources_admit(struct sources *sources, const struct volet_config *config,
			  const struct sockaddr *address, uint32_t random, int64_t now_ns,
			  struct source **source)
{
	struct source *from = find(sources, address, now_ns);

	if (!sources_may_try(from, now_ns))
		return "too many wrong credentials from there lately";
	if (from->unauthenticated >= config->max_unauthenticated_per_source)
		return "too many connections from there that haven't authenticated";
	if (refuse_early(sources->unauthenticated, config->max_unauthenticated, random))
		return "too many connections that haven't authenticated";
	from->unauthenticated++;
	sources->unauthenticated++;
	*source = from;
	return NULL;
}

void sources_release(struct sources *sources, struct source *source)
{
	source->unauthenticated--;
	sources->unauthenticated--;
}

bool sources_may_try(const struct source *source, int64_t now_ns)
{
	return source->debt_ns + SOURCES_WRONG_NS <=
	       now_ns + SOURCES_WRONG_BURST * SOURCES_WRONG_NS;
}

void sources_wrong(struct source *source, int64_t now_ns)
{
	source->debt_ns = MAX(source->debt_ns, now_ns) + SOURCES_WRONG_NS;
}
