/* sysvipc(7): message queues. */
#include "guest.h"

#include <sys/ipc.h>
#include <sys/msg.h>

#define KEY 0x5eed0003

static struct {
	long kind;
	char text[20000];
} message;

static int queue;

static void start(void)
{
	queue = OK(msgget(IPC_PRIVATE, 0600));
}

static void leave(void)
{
	OK(msgctl(queue, IPC_RMID, NULL));
}

static int send_text(long kind, const char *text, int flags)
{
	message.kind = kind;
	strcpy(message.text, text);
	return msgsnd(queue, &message, strlen(text), flags);
}

static void expect(long wanted, int flags, long kind, const char *text)
{
	memset(&message, 0, sizeof(message));
	EXPECT_EQ(msgrcv(queue, &message, sizeof(message.text), wanted, flags | IPC_NOWAIT), strlen(text));
	EXPECT_EQ(message.kind, kind);
	EXPECT_STR(message.text, text);
}

static void expect_none(long wanted, int flags)
{
	EXPECT_ERRNO(msgrcv(queue, &message, 100, wanted, flags | IPC_NOWAIT), ENOMSG);
}

CASE(messages_come_in_order)
{
	start();
	OK(send_text(1, "one", 0));
	OK(send_text(2, "two", 0));
	OK(send_text(3, "", 0));
	expect(0, 0, 1, "one");
	expect(0, 0, 2, "two");
	expect(0, 0, 3, "");
	expect_none(0, 0);
	leave();
	EXPECT_ERRNO(send_text(1, "x", 0), EINVAL);
}

CASE(kinds_are_chosen)
{
	start();
	OK(send_text(5, "five", 0));
	OK(send_text(3, "three", 0));
	OK(send_text(4, "four", 0));
	OK(send_text(3, "again", 0));
	expect_none(7, 0);
	expect_none(-2, 0);
	expect(3, 0, 3, "three");
	expect(5, MSG_EXCEPT, 4, "four");
	OK(send_text(9, "nine", 0));
	expect(-8, 0, 3, "again");
	expect(-8, 0, 5, "five");
	expect_none(-8, 0);
	expect(9, 0, 9, "nine");
	leave();
}

CASE(sizes)
{
	start();
	message.kind = 1;
	EXPECT_ERRNO(msgsnd(queue, &message, 8193, 0), EINVAL);
	EXPECT_ERRNO(msgsnd(queue, &message, -1, 0), EINVAL);
	OK(msgsnd(queue, &message, 8192, 0));
	OK(msgsnd(queue, &message, 8192, 0));
	EXPECT_ERRNO(send_text(1, "x", IPC_NOWAIT), EAGAIN);
	OK(send_text(1, "", IPC_NOWAIT));
	EXPECT_ERRNO(msgrcv(queue, &message, 100, 0, IPC_NOWAIT), E2BIG);
	EXPECT_EQ(msgrcv(queue, &message, 100, 0, MSG_NOERROR), 100);
	EXPECT_EQ(msgrcv(queue, &message, 8192, 0, 0), 8192);
	leave();
}

CASE(bad_arguments)
{
	start();
	EXPECT_ERRNO(send_text(0, "x", 0), EINVAL);
	EXPECT_ERRNO(send_text(-1, "x", 0), EINVAL);
	EXPECT_ERRNO(msgsnd(queue, (void *)8, 1, 0), EFAULT);
	EXPECT_ERRNO(msgsnd(-1, &message, 1, 0), EINVAL);
	EXPECT_ERRNO(msgrcv(queue, &message, -1, 0, 0), EINVAL);
	EXPECT_ERRNO(msgrcv(-1, &message, 1, 0, 0), EINVAL);
	EXPECT_ERRNO(msgctl(queue, 99, NULL), EINVAL);
	leave();
}

CASE(keys)
{
	queue = OK(msgget(KEY, 0600 | IPC_CREAT | IPC_EXCL));
	EXPECT_EQ(msgget(KEY, 0), queue);
	EXPECT_ERRNO(msgget(KEY, 0600 | IPC_CREAT | IPC_EXCL), EEXIST);
	leave();
	EXPECT_ERRNO(msgget(KEY, 0600), ENOENT);
}

CASE(waiting_for_a_message)
{
	pid_t pid;

	start();
	CHILD(pid) {
		EXPECT_EQ(msgrcv(queue, &message, 100, 2, 0), 3);
		EXPECT_EQ(message.kind, 2);
	}
	wait_until_asleep(pid);
	OK(send_text(1, "no", 0));
	OK(send_text(2, "yes", 0));
	EXPECT_EXIT(pid, 0);
	expect(0, 0, 1, "no");
	leave();
}

CASE(waiting_for_room)
{
	pid_t pid;

	start();
	message.kind = 1;
	OK(msgsnd(queue, &message, 8192, 0));
	OK(msgsnd(queue, &message, 8000, 0));
	CHILD(pid) {
		message.kind = 7;
		OK(msgsnd(queue, &message, 5000, 0));
	}
	wait_until_asleep(pid);
	EXPECT_EQ(msgrcv(queue, &message, 8192, 0, 0), 8192);
	EXPECT_EXIT(pid, 0);
	EXPECT_EQ(msgrcv(queue, &message, 8192, 7, 0), 5000);
	leave();
}

CASE(waiting_ends)
{
	pid_t pid, helper;

	start();
	handle(SIGUSR1, count_signal);
	helper = signal_when_asleep(getpid(), SIGUSR1);
	EXPECT_ERRNO(msgrcv(queue, &message, 100, 0, 0), EINTR);
	EXPECT_EXIT(helper, 0);
	CHILD(pid)
		EXPECT_ERRNO(msgrcv(queue, &message, 100, 0, 0), EIDRM);
	wait_until_asleep(pid);
	leave();
	EXPECT_EXIT(pid, 0);
}

CASE(status_and_permissions)
{
	struct msqid_ds found;
	pid_t pid;

	queue = OK(msgget(KEY, 0604 | IPC_CREAT));
	OK(send_text(1, "four", 0));
	OK(msgctl(queue, IPC_STAT, &found));
	EXPECT_EQ(found.msg_perm.__key, KEY);
	EXPECT_EQ(found.msg_perm.mode, 0604);
	EXPECT_EQ(found.msg_qnum, 1);
	EXPECT_EQ(found.__msg_cbytes, 4);
	EXPECT_EQ(found.msg_qbytes, 16384);
	EXPECT_EQ(found.msg_lspid, getpid());
	EXPECT_EQ(found.msg_lrpid, 0);
	EXPECT(found.msg_stime != 0);
	EXPECT_EQ(found.msg_rtime, 0);
	CHILD(pid) {
		become(NOBODY);
		EXPECT_ERRNO(send_text(1, "x", 0), EACCES);
		EXPECT_ERRNO(msgctl(queue, IPC_RMID, NULL), EPERM);
		expect(0, 0, 1, "four");
	}
	EXPECT_EXIT(pid, 0);
	found.msg_qbytes = 3;
	OK(msgctl(queue, IPC_SET, &found));
	EXPECT_ERRNO(send_text(1, "four", IPC_NOWAIT), EAGAIN);
	OK(send_text(1, "one", IPC_NOWAIT));
	found.msg_qbytes = 16385;
	EXPECT_ERRNO(msgctl(queue, IPC_SET, &found), EPERM);
	OK(msgctl(queue, IPC_STAT, &found));
	EXPECT_EQ(found.msg_lrpid, pid);
	EXPECT(found.msg_rtime != 0);
	leave();
}

CASE(what_ipcs_asks)
{
	struct msginfo limits;
	struct msqid_ds found;
	int highest, seen = 0;

	start();
	OK(send_text(1, "text", 0));
	OK(msgctl(0, IPC_INFO, (void *)&limits));
	EXPECT_EQ(limits.msgmax, 8192);
	EXPECT_EQ(limits.msgmnb, 16384);
	EXPECT_EQ(limits.msgmni, 32000);
	highest = OK(msgctl(0, MSG_INFO, (void *)&limits));
	EXPECT(limits.msgpool >= 1);
	EXPECT(limits.msgmap >= 1);
	EXPECT(limits.msgtql >= 4);
	for (int i = 0; i <= highest; i++)
		if (msgctl(i, MSG_STAT, &found) == queue) {
			seen++;
			EXPECT_EQ(found.__msg_cbytes, 4);
		}
	EXPECT_EQ(seen, 1);
	leave();
}

#ifndef MSG_COPY
#define MSG_COPY 040000
#endif

CASE(messages_are_looked_at)
{
	start();
	OK(send_text(1, "one", 0));
	OK(send_text(2, "two", 0));
	expect(1, MSG_COPY, 2, "two");
	expect(0, MSG_COPY, 1, "one");
	expect_none(2, MSG_COPY);
	EXPECT_ERRNO(msgrcv(queue, &message, 100, 0, MSG_COPY), EINVAL);
	expect(0, 0, 1, "one");
	leave();
}
