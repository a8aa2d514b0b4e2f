// SPDX-License-Identifier: MIT
/* A session's frame memory as the session sees it; see memory.h. */
#include "memory.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static const struct {
	int seal;
	const char *name;
} wanted_seals[] = {
	{ F_SEAL_SHRINK, "SHRINK" },
	{ F_SEAL_GROW, "GROW" },
	{ F_SEAL_FUTURE_WRITE, "FUTURE_WRITE" },
	{ F_SEAL_SEAL, "SEAL" },
};

static bool layout_ok(const struct volet_frame_memory *layout, char why[SESSION_WHY_MAX])
{
	uint32_t page = (uint32_t)sysconf(_SC_PAGESIZE);

	if (layout->slots == 0 || layout->slots > VOLET_SLOTS_MAX)
		snprintf(why, SESSION_WHY_MAX, "frame memory of %u slots, not 1 to %u",
			 layout->slots, VOLET_SLOTS_MAX);
	else if (layout->slot_size == 0 || layout->slot_size % page)
		snprintf(why, SESSION_WHY_MAX, "frame memory of %u-byte slots, not whole pages",
			 layout->slot_size);
	else if (layout->codec < VOLET_CODEC_JPEG || layout->codec > VOLET_CODEC_XRGB_HANDED)
		snprintf(why, SESSION_WHY_MAX, "frame memory of unknown codec %u", layout->codec);
	else if (layout->width == 0 || layout->width > 65535 || layout->height == 0 ||
		 layout->height > 65535)
		snprintf(why, SESSION_WHY_MAX, "frame memory for impossible %ux%u pixels",
			 layout->width, layout->height);
	else if (layout->n_parameters > VOLET_PARAMETERS_MAX ||
		 (layout->codec == VOLET_CODEC_H264) != (layout->n_parameters > 0))
		snprintf(why, SESSION_WHY_MAX, "frame memory of codec %u with %u bytes of parameters",
			 layout->codec, layout->n_parameters);
	else
		return true;
	return false;
}

static bool seals_ok(int fd, char why[SESSION_WHY_MAX])
{
	int seals = fcntl(fd, F_GET_SEALS);
	size_t i;

	if (seals < 0) {
		snprintf(why, SESSION_WHY_MAX, "frame memory is no memfd with seals: %s",
			 strerror(errno));
		return false;
	}
	for (i = 0; i < sizeof(wanted_seals) / sizeof(wanted_seals[0]); i++) {
		if (!(seals & wanted_seals[i].seal)) {
			snprintf(why, SESSION_WHY_MAX, "frame memory lacks the seal %s",
				 wanted_seals[i].name);
			return false;
		}
	}
	return true;
}

bool session_memory_map(struct session_memory *memory, const struct volet_frame_memory *layout,
			int fd, char why[SESSION_WHY_MAX])
{
	uint64_t size = (uint64_t)layout->slots * layout->slot_size;
	struct stat st;
	void *base;

	if (!layout_ok(layout, why) || !seals_ok(fd, why))
		return false;
	if (fstat(fd, &st) < 0) {
		snprintf(why, SESSION_WHY_MAX, "frame memory: %s", strerror(errno));
		return false;
	}
	/* After the seals: from here on the size can't change. */
	if (!S_ISREG(st.st_mode) || (uint64_t)st.st_size != size || size > SIZE_MAX) {
		snprintf(why, SESSION_WHY_MAX, "frame memory has %lld bytes, not %llu",
			 (long long)st.st_size, (unsigned long long)size);
		return false;
	}
	base = mmap(NULL, (size_t)size, PROT_READ, MAP_SHARED, fd, 0);
	if (base == MAP_FAILED) {
		snprintf(why, SESSION_WHY_MAX, "frame memory can't be mapped: %s", strerror(errno));
		return false;
	}
	memory->base = base;
	memory->size = (size_t)size;
	memory->layout = *layout;
	return true;
}

void session_memory_unmap(struct session_memory *memory)
{
	if (memory->base)
		munmap((void *)memory->base, memory->size);
	memory->base = NULL;
	memory->size = 0;
}

const uint8_t *session_memory_slot(const struct session_memory *memory, uint32_t slot)
{
	return memory->base + (size_t)slot * memory->layout.slot_size;
}
