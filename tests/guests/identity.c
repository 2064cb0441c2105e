/* setuid(2) and its family, setgroups(2), capset(2), capabilities(7), set-user-ID programs, no_new_privs. */
#include "guest.h"

#include <grp.h>
#include <linux/capability.h>
#include <linux/securebits.h>
#include <sys/fsuid.h>
#include <sys/prctl.h>

struct ids { uid_t real, effective, saved; };

static struct ids uids(void)
{
	struct ids got;

	OK(getresuid(&got.real, &got.effective, &got.saved));
	return got;
}

static unsigned long long effective_capabilities(void)
{
	struct __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
	struct __user_cap_data_struct data[2];

	OK(syscall(SYS_capget, &header, data));
	return data[0].effective | (unsigned long long)data[1].effective << 32;
}

static int set_capabilities(unsigned effective, unsigned permitted, unsigned inheritable)
{
	struct __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
	struct __user_cap_data_struct data[2] = {{effective, permitted, inheritable}, {0, 0, 0}};

	return syscall(SYS_capset, &header, data);
}

CASE(setuid_of_root_sets_all_three)
{
	struct ids got;

	OK(syscall(SYS_setuid, 1000));
	got = uids();
	EXPECT(got.real == 1000 && got.effective == 1000 && got.saved == 1000);
	EXPECT_ERRNO(syscall(SYS_setuid, 0), EPERM);
	EXPECT_EQ(effective_capabilities(), 0);
}

CASE(seteuid_and_back)
{
	OK(syscall(SYS_setresuid, -1, 1000, -1));
	EXPECT_EQ(geteuid(), 1000);
	EXPECT_EQ(getuid(), 0);
	EXPECT_EQ(effective_capabilities(), 0);
	OK(syscall(SYS_setresuid, -1, 0, -1));
	EXPECT(effective_capabilities() != 0);
}

CASE(setresuid_of_an_ordinary_user)
{
	OK(syscall(SYS_setresuid, 1, 2, 3));
	EXPECT_ERRNO(syscall(SYS_setresuid, 4, -1, -1), EPERM);
	OK(syscall(SYS_setresuid, 3, 1, 2));
	EXPECT_ERRNO(syscall(SYS_setresuid, 0, 0, 0), EPERM);
}

CASE(setreuid_sets_the_saved_one)
{
	struct ids got;

	OK(syscall(SYS_setreuid, 1000, 2000));
	got = uids();
	EXPECT(got.real == 1000 && got.effective == 2000 && got.saved == 2000);
	OK(syscall(SYS_setreuid, 2000, 1000));
	got = uids();
	EXPECT(got.real == 2000 && got.effective == 1000 && got.saved == 1000);
	EXPECT_ERRNO(syscall(SYS_setreuid, 5, -1), EPERM);
}

CASE(setgid_family)
{
	gid_t real, effective, saved;

	OK(syscall(SYS_setresgid, 1, 2, 3));
	OK(getresgid(&real, &effective, &saved));
	EXPECT(real == 1 && effective == 2 && saved == 3);
	OK(syscall(SYS_setgid, 7));
	EXPECT_EQ(getgid(), 7);
	OK(syscall(SYS_setresuid, 1000, 1000, 1000));
	EXPECT_ERRNO(syscall(SYS_setgid, 0), EPERM);
	OK(syscall(SYS_setregid, 7, 7));
	EXPECT_ERRNO(syscall(SYS_setregid, 8, -1), EPERM);
}

CASE(setfsuid_returns_the_old_one_whatever_happens)
{
	EXPECT_EQ(setfsuid(1000), 0);
	EXPECT_EQ(setfsuid(-1), 1000);
	EXPECT_EQ(setfsuid(0), 1000);
	OK(syscall(SYS_setresuid, 5, 5, 5));
	EXPECT_EQ(setfsuid(9), 5);
	EXPECT_EQ(setfsuid(9), 5);
	EXPECT_EQ(setfsgid(0), 0);
}

CASE(fsuid_decides_about_files)
{
	write_file("file", "");
	OK(chmod("file", 0600));
	setfsuid(NOBODY);
	EXPECT_ERRNO(open("file", O_RDONLY), EACCES);
	setfsuid(0);
	OK(open("file", O_RDONLY));
}

CASE(setgroups_and_getgroups)
{
	gid_t groups[3] = {30, 10, 20}, got[3];

	OK(setgroups(3, groups));
	EXPECT_EQ(getgroups(0, NULL), 3);
	EXPECT_ERRNO(getgroups(2, got), EINVAL);
	EXPECT_EQ(getgroups(3, got), 3);
	EXPECT(got[0] == 10 && got[1] == 20 && got[2] == 30);
	EXPECT_ERRNO(syscall(SYS_setgroups, 65537, groups), EINVAL);
	EXPECT_ERRNO(syscall(SYS_setgroups, 1, 8), EFAULT);
	OK(syscall(SYS_setresuid, 5, 5, 5));
	EXPECT_ERRNO(setgroups(0, NULL), EPERM);
}

CASE(groups_decide_about_files)
{
	gid_t groups[1] = {1234};
	pid_t pid;

	write_file("file", "");
	OK(chown("file", 0, 1234));
	OK(chmod("file", 0640));
	CHILD(pid) {
		OK(setgroups(1, groups));
		OK(syscall(SYS_setresgid, 5, 5, 5));
		OK(syscall(SYS_setresuid, 5, 5, 5));
		OK(open("file", O_RDONLY));
		EXPECT_ERRNO(open("file", O_WRONLY), EACCES);
	}
	EXPECT_EXIT(pid, 0);
}

CASE(capset_rules)
{
	unsigned kill_bit = 1 << CAP_KILL, chown_bit = 1 << CAP_CHOWN;

	OK(set_capabilities(kill_bit, kill_bit, 0));
	EXPECT_EQ(effective_capabilities(), kill_bit);
	EXPECT_ERRNO(set_capabilities(0, kill_bit | chown_bit, 0), EPERM);
	EXPECT_ERRNO(set_capabilities(chown_bit, kill_bit, 0), EPERM);
	OK(set_capabilities(0, kill_bit, kill_bit));
	OK(set_capabilities(kill_bit, kill_bit, kill_bit));
	EXPECT_ERRNO(set_capabilities(0, kill_bit, kill_bit | chown_bit), EPERM);
}

CASE(capget_versions_and_errors)
{
	struct __user_cap_header_struct header = {0x12345678, 0};
	struct __user_cap_data_struct data[2];

	EXPECT_ERRNO(syscall(SYS_capget, &header, data), EINVAL);
	EXPECT_EQ(header.version, _LINUX_CAPABILITY_VERSION_3);
	OK(syscall(SYS_capget, &header, NULL));
	header.pid = 30000;
	EXPECT_ERRNO(syscall(SYS_capget, &header, data), ESRCH);
	header.pid = 1;
	EXPECT_ERRNO(syscall(SYS_capset, &header, data), EPERM);
	EXPECT_ERRNO(syscall(SYS_capget, 8, data), EFAULT);
}

CASE(capabilities_without_root)
{
	OK(prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0));
	OK(syscall(SYS_setresuid, 1000, 1000, 1000));
	EXPECT_EQ(effective_capabilities(), 0);
	OK(set_capabilities(1 << CAP_KILL, 1 << CAP_KILL, 0));
	OK(kill(1, 0));
	write_file("/tmp/own", "");
	EXPECT_ERRNO(chown("/tmp/own", 0, 0), EPERM);
}

CASE(dropped_capabilities_are_missed)
{
	write_file("file", "");
	OK(chmod("file", 0));
	OK(open("file", O_RDONLY));
	OK(set_capabilities(0, 0, 0));
	EXPECT_ERRNO(open("file", O_RDONLY), EACCES);
	EXPECT_ERRNO(chown("file", 5, 5), EPERM);
	EXPECT_ERRNO(chroot("."), EPERM);
	EXPECT_ERRNO(mknod("node", S_IFCHR | 0600, 0x103), EPERM);
	EXPECT_ERRNO(syscall(SYS_setresuid, 5, 5, 5), EPERM);
	EXPECT_ERRNO(setgroups(0, NULL), EPERM);
}

CASE(bounding_set_is_dropped_for_good)
{
	EXPECT_EQ(prctl(PR_CAPBSET_READ, CAP_KILL, 0, 0, 0), 1);
	OK(prctl(PR_CAPBSET_DROP, CAP_KILL, 0, 0, 0));
	EXPECT_EQ(prctl(PR_CAPBSET_READ, CAP_KILL, 0, 0, 0), 0);
	EXPECT_EQ(prctl(PR_CAPBSET_READ, CAP_SYS_ADMIN, 0, 0, 0), 0);
	EXPECT_ERRNO(prctl(PR_CAPBSET_READ, 99, 0, 0, 0), EINVAL);
	OK(set_capabilities(0, 0, 0));
	EXPECT_ERRNO(prctl(PR_CAPBSET_DROP, CAP_CHOWN, 0, 0, 0), EPERM);
}

CASE(ambient_capabilities)
{
	unsigned kill_bit = 1 << CAP_KILL, setpcap = 1 << CAP_SETPCAP;

	EXPECT_ERRNO(prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, CAP_KILL, 0, 0), EPERM);
	OK(set_capabilities(kill_bit | setpcap, kill_bit | setpcap, kill_bit));
	OK(prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, CAP_KILL, 0, 0));
	EXPECT_EQ(prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_IS_SET, CAP_KILL, 0, 0), 1);
	OK(prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0));
	EXPECT_EQ(prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_IS_SET, CAP_KILL, 0, 0), 0);
}

CASE(securebits)
{
	EXPECT_EQ(prctl(PR_GET_SECUREBITS), 0);
	OK(prctl(PR_SET_SECUREBITS, SECBIT_NO_SETUID_FIXUP));
	OK(syscall(SYS_setresuid, -1, 1000, -1));
	EXPECT(effective_capabilities() != 0);
}

HELPER(ids)
{
	/* Arguments: the expected effective uid, and whether capabilities are expected. */
	if (geteuid() != (uid_t)atoi(argv[0]))
		return 10;
	if ((effective_capabilities() != 0) != atoi(argv[1]))
		return 11;
	return 60;
}

static void copy_program(const char *name, uid_t owner, mode_t mode)
{
	char bytes[65536];
	int from = OK(open("/proc/self/exe", O_RDONLY)), to = OK(open(name, O_WRONLY | O_CREAT | O_EXCL, 0700));
	long size;

	while ((size = OK(read(from, bytes, sizeof(bytes)))) > 0)
		EXPECT_EQ(write(to, bytes, size), size);
	OK(fchown(to, owner, owner));
	OK(fchmod(to, mode));
	OK(close(to));
	OK(close(from));
}

static pid_t run_copy(uid_t uid, int no_new_privs, char *expected, char *capabilities)
{
	char *argv[] = {"program", "--helper", "ids", expected, capabilities, NULL};
	pid_t pid;

	CHILD(pid) {
		if (uid)
			become(uid);
		if (no_new_privs)
			OK(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
		execv("program", argv);
	}
	return pid;
}

CASE(set_user_id_program_of_root_gives_capabilities)
{
	pid_t pid;

	copy_program("program", 0, 04755);
	pid = run_copy(NOBODY, 0, "0", "1");
	EXPECT_EXIT(pid, 60);
}

CASE(set_user_id_program_of_another_user)
{
	pid_t pid;

	copy_program("program", 4321, 04755);
	pid = run_copy(NOBODY, 0, "4321", "0");
	EXPECT_EXIT(pid, 60);
	pid = run_copy(0, 0, "4321", "0");
	EXPECT_EXIT(pid, 60);
}

CASE(no_new_privs_ignores_set_user_id)
{
	pid_t pid;

	copy_program("program", 0, 04755);
	pid = run_copy(NOBODY, 1, "65534", "0");
	EXPECT_EXIT(pid, 60);
}

CASE(root_gets_capabilities_at_exec_and_others_lose_them)
{
	pid_t pid;

	copy_program("program", 0, 0755);
	pid = run_copy(0, 0, "0", "1");
	EXPECT_EXIT(pid, 60);
	pid = run_copy(NOBODY, 0, "65534", "0");
	EXPECT_EXIT(pid, 60);
}
