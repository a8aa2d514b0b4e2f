// SPDX-License-Identifier: MIT
/* Landlock and seccomp for a camera process; see sandbox.h. */
#include "sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/dma-buf.h>
#include <linux/dma-heap.h>
#include <linux/landlock.h>
#include <linux/udmabuf.h>
#include <linux/videodev2.h>
#include <seccomp.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "error.h"
#include "secrets.h"

/* All file rights that this version of Landlock knows, handled and none of them granted. */
static guint64 file_rights(long abi)
{
	guint64 rights = (LANDLOCK_ACCESS_FS_MAKE_SYM << 1) - 1;

	if (abi >= 2)
		rights |= LANDLOCK_ACCESS_FS_REFER;
	if (abi >= 3)
		rights |= LANDLOCK_ACCESS_FS_TRUNCATE;
	if (abi >= 5)
		rights |= LANDLOCK_ACCESS_FS_IOCTL_DEV;
	return rights;
}

/* What is below `path` may be used so; the rest of the files not. */
struct place {
	const char *path;
	guint64 rights;
};

static gboolean allow_below(int ruleset, const struct place *place, guint64 handled, GError **error)
{
	struct landlock_path_beneath_attr attr = { .allowed_access = place->rights & handled };
	gboolean ok;

	attr.parent_fd = open(place->path, O_PATH | O_CLOEXEC);
	ok = attr.parent_fd >= 0 && syscall(SYS_landlock_add_rule, ruleset,
					    LANDLOCK_RULE_PATH_BENEATH, &attr, 0) == 0;
	if (!ok)
		cam_error(error, errno, "Landlock's rule for %s", place->path);
	if (attr.parent_fd >= 0)
		close(attr.parent_fd);
	return ok;
}

static gboolean restrict_files(const struct place *places, guint n, GError **error)
{
	long abi = syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
	struct landlock_ruleset_attr attr = { 0 };
	gboolean ok = TRUE;
	int ruleset;
	guint i;

	if (abi < 1)
		return cam_error(error, errno, "this kernel has no Landlock: build it with "
				 "CONFIG_SECURITY_LANDLOCK and boot it with landlock in lsm=");
	attr.handled_access_fs = file_rights(abi);
	if (abi >= 4)
		attr.handled_access_net = LANDLOCK_ACCESS_NET_BIND_TCP |
					  LANDLOCK_ACCESS_NET_CONNECT_TCP;
	if (abi >= 6)
		attr.scoped = LANDLOCK_SCOPE_ABSTRACT_UNIX_SOCKET | LANDLOCK_SCOPE_SIGNAL;
	ruleset = (int)syscall(SYS_landlock_create_ruleset, &attr, sizeof(attr), 0);
	if (ruleset < 0)
		return cam_error(error, errno, "landlock_create_ruleset");
	for (i = 0; ok && i < n; i++)
		ok = allow_below(ruleset, &places[i], attr.handled_access_fs, error);
	if (ok && syscall(SYS_landlock_restrict_self, ruleset, 0) < 0)
		ok = cam_error(error, errno, "landlock_restrict_self");
	close(ruleset);
	return ok;
}

gboolean sandbox_files(GError **error)
{
	return restrict_files(NULL, 0, error);
}

/*
 * What the capture loop, the encoder and the C library's memory need. Files are answered
 * with EACCES instead of death, because libraries look for files that they do without.
 */
static int add_calls(scmp_filter_ctx ctx)
{
	static const int allowed[] = {
		SCMP_SYS(brk), SCMP_SYS(clock_gettime), SCMP_SYS(close), SCMP_SYS(exit_group),
		SCMP_SYS(fcntl), SCMP_SYS(fstat), SCMP_SYS(fstatfs), SCMP_SYS(ftruncate), SCMP_SYS(futex),
		SCMP_SYS(getrandom), SCMP_SYS(lseek), SCMP_SYS(madvise), SCMP_SYS(memfd_create), SCMP_SYS(mremap),
		SCMP_SYS(munmap), SCMP_SYS(newfstatat), SCMP_SYS(poll), SCMP_SYS(ppoll),
		SCMP_SYS(read), SCMP_SYS(recvmsg), SCMP_SYS(restart_syscall),
		SCMP_SYS(rt_sigreturn), SCMP_SYS(sendmsg), SCMP_SYS(write), SCMP_SYS(writev),
	};
	static const int no_file[] = {
		SCMP_SYS(access), SCMP_SYS(faccessat), SCMP_SYS(open), SCMP_SYS(openat),
		SCMP_SYS(readlink), SCMP_SYS(readlinkat),
	};
	int ret = 0;
	gsize i;

	for (i = 0; !ret && i < G_N_ELEMENTS(allowed); i++)
		ret = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, allowed[i], 0);
	for (i = 0; !ret && i < G_N_ELEMENTS(no_file); i++)
		ret = seccomp_rule_add(ctx, SCMP_ACT_ERRNO(EACCES), no_file[i], 0);
	/* No new code. */
	if (!ret)
		ret = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(mmap), 1,
				       SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0));
	if (!ret)
		ret = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(mprotect), 1,
				       SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0));
	return ret;
}

/*
 * Only what streams: no export of a buffer, no control, nothing of another device. With codecs
 * the end of an encoder's stream and one kind of control call too: a key frame is asked for by it.
 */
static int add_ioctls(scmp_filter_ctx ctx, gboolean codecs)
{
	static const guint32 allowed[] = {
		VIDIOC_QUERYCAP, VIDIOC_S_FMT, VIDIOC_REQBUFS, VIDIOC_QUERYBUF, VIDIOC_QBUF, VIDIOC_DQBUF,
		VIDIOC_STREAMON, VIDIOC_STREAMOFF, UDMABUF_CREATE, DMA_BUF_IOCTL_SYNC,
		DMA_HEAP_IOCTL_ALLOC,
		/* the last two with codecs */
		VIDIOC_ENCODER_CMD, VIDIOC_S_CTRL,
	};
	gsize n = G_N_ELEMENTS(allowed) - (codecs ? 0 : 2);
	int ret = 0;
	gsize i;

	for (i = 0; !ret && i < n; i++)
		ret = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(ioctl), 1,
				       SCMP_A1(SCMP_CMP_MASKED_EQ, 0xffffffff, allowed[i]));
	return ret;
}

static gboolean restrict_calls(gboolean codecs, GError **error)
{
	scmp_filter_ctx ctx = seccomp_init(SCMP_ACT_KILL_PROCESS);
	int ret;

	if (!ctx)
		return cam_error(error, 0, "seccomp: no memory");
	ret = add_calls(ctx);
	if (!ret)
		ret = add_ioctls(ctx, codecs);
	if (!ret)
		ret = seccomp_load(ctx);
	seccomp_release(ctx);
	return ret == 0 ||
	       cam_error(error, -ret, "seccomp: build the kernel with CONFIG_SECCOMP_FILTER");
}

gboolean sandbox_calls(GError **error)
{
	return restrict_calls(FALSE, error);
}

static gboolean drop_privileges(GError **error)
{
	return (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 && secrets_no_dump()) ||
	       cam_error(error, errno, "prctl");
}

gboolean sandbox_enter(GError **error)
{
	return drop_privileges(error) && sandbox_files(error) && sandbox_calls(error);
}

gboolean sandbox_enter_codecs(GError **error)
{
	return drop_privileges(error) && sandbox_files(error) && restrict_calls(TRUE, error);
}

gboolean sandbox_opener(GError **error)
{
	static const struct place places[] = {
		{ "/dev", LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_WRITE_FILE |
			  LANDLOCK_ACCESS_FS_READ_DIR | LANDLOCK_ACCESS_FS_IOCTL_DEV },
		{ "/sys", LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR },
	};

	return drop_privileges(error) && restrict_files(places, G_N_ELEMENTS(places), error);
}
