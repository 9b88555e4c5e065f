#include "sandbox/policy_table.h"

#include <linux/audit.h>

#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))

/* Whatever stands in no group is unknown and gets ENOSYS: a libc newer than this table falls back. */
const struct policy_group policy_groups[] = {
	{ VERDICT_ALLOW, "files by descriptor",
		"open openat openat2 creat close close_range dup dup2 dup3 read write readv writev pread64 "
		"pwrite64 preadv pwritev preadv2 pwritev2 lseek _llseek sendfile sendfile64 splice tee vmsplice "
		"copy_file_range fallocate ftruncate ftruncate64 truncate truncate64 fsync fdatasync sync syncfs "
		"sync_file_range sync_file_range2 arm_sync_file_range fadvise64 fadvise64_64 arm_fadvise64_64 "
		"readahead flock fcntl fcntl64 ioctl" },
	{ VERDICT_ALLOW, "file names and attributes",
		"access faccessat faccessat2 stat stat64 lstat lstat64 fstat fstat64 newfstatat fstatat64 oldstat "
		"oldlstat oldfstat statx statfs statfs64 fstatfs fstatfs64 statmount listmount chdir fchdir "
		"getcwd chmod fchmod fchmodat fchmodat2 chown chown32 fchown fchown32 lchown lchown32 fchownat umask "
		"link linkat symlink symlinkat readlink readlinkat unlink unlinkat rename renameat renameat2 "
		"mkdir mkdirat rmdir mknod mknodat getdents getdents64 utime utimes utimensat utimensat_time64 "
		"futimesat name_to_handle_at inotify_init inotify_init1 inotify_add_watch inotify_rm_watch "
		"fanotify_mark chroot" },
	{ VERDICT_ALLOW, "extended attributes",
		"setxattr lsetxattr fsetxattr getxattr lgetxattr fgetxattr listxattr llistxattr flistxattr "
		"removexattr lremovexattr fremovexattr setxattrat getxattrat listxattrat removexattrat" },
	{ VERDICT_ALLOW, "memory",
		"brk mmap mmap2 mprotect munmap mremap msync madvise mincore mlock mlock2 munlock mlockall "
		"munlockall remap_file_pages memfd_create memfd_secret membarrier mseal pkey_alloc pkey_free "
		"pkey_mprotect map_shadow_stack process_mrelease cachestat" },
	{ VERDICT_ALLOW, "processes and threads",
		"fork vfork execve execveat exit exit_group wait4 waitpid waitid getpid getppid gettid getpgid "
		"clone setpgid getpgrp getsid setsid set_tid_address get_robust_list set_robust_list rseq arch_prctl "
		"set_thread_area get_thread_area modify_ldt prctl getcpu pidfd_open pidfd_send_signal kcmp "
		"sched_getaffinity sched_setaffinity sched_getattr sched_setattr sched_getparam sched_setparam "
		"sched_getscheduler sched_setscheduler sched_get_priority_max sched_get_priority_min "
		"sched_rr_get_interval sched_rr_get_interval_time64 sched_yield getpriority setpriority "
		"ioprio_get ioprio_set nice uname olduname oldolduname sysinfo times getrusage" },
	{ VERDICT_ALLOW, "credentials and limits: the kernel checks them against the user namespace",
		"capget capset getuid getuid32 getgid getgid32 geteuid geteuid32 getegid getegid32 getresuid "
		"getresuid32 getresgid getresgid32 getgroups getgroups32 setuid setuid32 setgid setgid32 setreuid "
		"setreuid32 setregid setregid32 setresuid setresuid32 setresgid setresgid32 setfsuid setfsuid32 "
		"setfsgid setfsgid32 setgroups setgroups32 getrlimit ugetrlimit setrlimit prlimit64" },
	{ VERDICT_ALLOW, "a program may restrict itself further",
		"landlock_create_ruleset landlock_add_rule landlock_restrict_self seccomp" },
	{ VERDICT_ALLOW, "debuggers in a step: only processes of the step are in reach",
		"ptrace process_vm_readv process_vm_writev" },
	{ VERDICT_ALLOW, "signals",
		"rt_sigaction rt_sigprocmask rt_sigpending rt_sigsuspend rt_sigtimedwait rt_sigtimedwait_time64 "
		"rt_sigreturn rt_sigqueueinfo rt_tgsigqueueinfo sigaltstack sigreturn sigprocmask sigaction "
		"sigpending sigsuspend signal sgetmask ssetmask restart_syscall kill tkill tgkill pause" },
	{ VERDICT_ALLOW, "reading clocks, timers",
		"alarm getitimer setitimer timer_create timer_delete timer_getoverrun timer_gettime "
		"timer_gettime64 timer_settime timer_settime64 timerfd_create timerfd_gettime timerfd_gettime64 "
		"timerfd_settime timerfd_settime64 clock_getres clock_getres_time64 clock_gettime clock_gettime64 "
		"clock_nanosleep clock_nanosleep_time64 clock_adjtime clock_adjtime64 adjtimex nanosleep time "
		"gettimeofday" },
	{ VERDICT_ALLOW, "waiting",
		"poll ppoll ppoll_time64 select _newselect pselect6 pselect6_time64 epoll_create epoll_create1 "
		"epoll_ctl epoll_ctl_old epoll_wait epoll_wait_old epoll_pwait epoll_pwait2 eventfd eventfd2 "
		"signalfd signalfd4 futex futex_time64 futex_wait futex_wake futex_waitv futex_requeue io_setup "
		"io_submit io_getevents io_pgetevents io_pgetevents_time64 io_cancel io_destroy" },
	{ VERDICT_ALLOW, "pipes, sockets, System V and POSIX ipc of the step's own namespace",
		"pipe pipe2 socket socketpair socketcall bind listen accept accept4 connect getsockname getpeername "
		"getsockopt setsockopt send sendto sendmsg sendmmsg recv recvfrom recvmsg recvmmsg "
		"recvmmsg_time64 shutdown semget semctl semop semtimedop semtimedop_time64 shmget shmctl shmat "
		"shmdt msgget msgctl msgsnd msgrcv ipc mq_open mq_unlink mq_timedsend mq_timedsend_time64 "
		"mq_timedreceive mq_timedreceive_time64 mq_notify mq_getsetattr" },
	{ VERDICT_ALLOW, "small things of one architecture",
		"getrandom riscv_hwprobe riscv_flush_icache uretprobe cacheflush set_tls get_tls usr26 usr32 "
		"breakpoint s390_runtime_instr swapcontext" },
	{ VERDICT_EPERM, "mounts: the root file system of a step is ours to arrange",
		"mount umount umount2 pivot_root move_mount open_tree open_tree_attr fsopen fsconfig fsmount fspick "
		"mount_setattr" },
	{ VERDICT_EPERM, "namespaces: refused as in every container without CAP_SYS_ADMIN", "setns unshare" },
	{ VERDICT_EPERM, "keyrings are shared beyond the step", "keyctl add_key request_key" },
	{ VERDICT_EPERM, "large kernel surface with a history",
		"bpf perf_event_open userfaultfd fanotify_init lookup_dcookie nfsservctl" },
	{ VERDICT_EPERM, "the machine itself",
		"kexec_load kexec_file_load reboot init_module finit_module delete_module swapon swapoff acct "
		"quotactl quotactl_fd iopl ioperm settimeofday clock_settime clock_settime64 stime vhangup syslog "
		"sethostname setdomainname vm86 vm86old lsm_get_self_attr lsm_set_self_attr lsm_list_modules" },
	{ VERDICT_EPERM, "reaches files or descriptors past their names (CVE class of 2014 shocker)",
		"open_by_handle_at pidfd_getfd process_madvise" },
	{ VERDICT_EPERM, "memory policy of the host",
		"get_mempolicy set_mempolicy set_mempolicy_home_node mbind migrate_pages move_pages" },
	{ VERDICT_ENOSYS, "its flags are in memory that a filter cannot read; libcs fall back to clone",
		"clone3" },
	{ VERDICT_ENOSYS, "runs other calls unseen by this filter",
		"io_uring_setup io_uring_enter io_uring_register" },
};
const size_t policy_groups_len = ARRAY_LEN(policy_groups);

/*
 * A call that stands in a group too is refused for these values and else gets the verdict of its group. One that stands
 * here alone is allowed for these values and else unknown.
 */
const struct policy_argument policy_arguments[] = {
	{ "clone", "new namespaces: NEWNS, NEWCGROUP, NEWUTS, NEWIPC, NEWUSER, NEWPID, NEWNET", 0, TEST_ANY_BIT,
		0x7E020000, VERDICT_EPERM },
	{ "ioctl", "TIOCSTI types into the terminal of the caller (CVE-2017-5226)", 1, TEST_EQUAL, 0x5412,
		VERDICT_EPERM },
	{ "ioctl", "TIOCLINUX does the same on a console", 1, TEST_EQUAL, 0x541C, VERDICT_EPERM },
	{ "socket", "AF_ALG: the kernel's crypto, a page cache write (CVE-2026-31431)", 0, TEST_EQUAL, 38,
		VERDICT_EPERM },
	{ "socket", "AF_VSOCK reaches the hypervisor", 0, TEST_EQUAL, 40, VERDICT_EPERM },
	{ "personality", "query", 0, TEST_EQUAL, 0xffffffffu, VERDICT_ALLOW },
	{ "personality", "PER_LINUX", 0, TEST_EQUAL, 0, VERDICT_ALLOW },
	{ "personality", "PER_LINUX32", 0, TEST_EQUAL, 8, VERDICT_ALLOW },
	{ "personality", "UNAME26", 0, TEST_EQUAL, 0x20000, VERDICT_ALLOW },
	{ "personality", "UNAME26 with PER_LINUX32", 0, TEST_EQUAL, 0x20008, VERDICT_ALLOW },
	{ "personality", "ADDR_NO_RANDOMIZE: gdb, emacs and sbcl bootstraps", 0, TEST_EQUAL, 0x40000,
		VERDICT_ALLOW },
};
const size_t policy_arguments_len = ARRAY_LEN(policy_arguments);

/*
 * The socketcall and ipc of i386, s390x and ppc64le hold their arguments in memory, which no filter can read: there a
 * 32-bit program reaches AF_ALG through socketcall(2), which must stay (glibc for i386 opens every socket by it).
 */
const struct policy_number policy_numbers[] = {
	/* Calls newer than some libseccomp; from 424 on a call has one number on every architecture. */
	{ "cachestat", 0, 451 }, { "fchmodat2", 0, 452 }, { "map_shadow_stack", 0, 453 }, { "futex_wake", 0, 454 },
	{ "futex_wait", 0, 455 }, { "futex_requeue", 0, 456 }, { "statmount", 0, 457 }, { "listmount", 0, 458 },
	{ "lsm_get_self_attr", 0, 459 }, { "lsm_set_self_attr", 0, 460 }, { "lsm_list_modules", 0, 461 },
	{ "mseal", 0, 462 }, { "setxattrat", 0, 463 }, { "getxattrat", 0, 464 }, { "listxattrat", 0, 465 },
	{ "removexattrat", 0, 466 }, { "open_tree_attr", 0, 467 },
	{ "uretprobe", AUDIT_ARCH_X86_64, 335 }, { "riscv_hwprobe", AUDIT_ARCH_RISCV64, 258 },
	/* Calls that came after socketcall(2) and ipc(2), for which libseccomp gives a number of its own. */
	{ "socket", AUDIT_ARCH_I386, 359 }, { "socket", AUDIT_ARCH_S390X, 359 },
	{ "socket", AUDIT_ARCH_PPC64LE, 326 },
	{ "socketpair", AUDIT_ARCH_I386, 360 }, { "socketpair", AUDIT_ARCH_S390X, 360 },
	{ "socketpair", AUDIT_ARCH_PPC64LE, 333 },
	{ "bind", AUDIT_ARCH_I386, 361 }, { "bind", AUDIT_ARCH_S390X, 361 }, { "bind", AUDIT_ARCH_PPC64LE, 327 },
	{ "connect", AUDIT_ARCH_I386, 362 }, { "connect", AUDIT_ARCH_S390X, 362 },
	{ "connect", AUDIT_ARCH_PPC64LE, 328 },
	{ "listen", AUDIT_ARCH_I386, 363 }, { "listen", AUDIT_ARCH_S390X, 363 },
	{ "listen", AUDIT_ARCH_PPC64LE, 329 },
	{ "accept", AUDIT_ARCH_PPC64LE, 330 },
	{ "accept4", AUDIT_ARCH_I386, 364 }, { "accept4", AUDIT_ARCH_S390X, 364 },
	{ "accept4", AUDIT_ARCH_PPC64LE, 344 },
	{ "getsockopt", AUDIT_ARCH_I386, 365 }, { "getsockopt", AUDIT_ARCH_S390X, 365 },
	{ "getsockopt", AUDIT_ARCH_PPC64LE, 340 },
	{ "setsockopt", AUDIT_ARCH_I386, 366 }, { "setsockopt", AUDIT_ARCH_S390X, 366 },
	{ "setsockopt", AUDIT_ARCH_PPC64LE, 339 },
	{ "getsockname", AUDIT_ARCH_I386, 367 }, { "getsockname", AUDIT_ARCH_S390X, 367 },
	{ "getsockname", AUDIT_ARCH_PPC64LE, 331 },
	{ "getpeername", AUDIT_ARCH_I386, 368 }, { "getpeername", AUDIT_ARCH_S390X, 368 },
	{ "getpeername", AUDIT_ARCH_PPC64LE, 332 },
	{ "send", AUDIT_ARCH_PPC64LE, 334 }, { "recv", AUDIT_ARCH_PPC64LE, 336 },
	{ "sendto", AUDIT_ARCH_I386, 369 }, { "sendto", AUDIT_ARCH_S390X, 369 },
	{ "sendto", AUDIT_ARCH_PPC64LE, 335 },
	{ "sendmsg", AUDIT_ARCH_I386, 370 }, { "sendmsg", AUDIT_ARCH_S390X, 370 },
	{ "sendmsg", AUDIT_ARCH_PPC64LE, 341 },
	{ "recvfrom", AUDIT_ARCH_I386, 371 }, { "recvfrom", AUDIT_ARCH_S390X, 371 },
	{ "recvfrom", AUDIT_ARCH_PPC64LE, 337 },
	{ "recvmsg", AUDIT_ARCH_I386, 372 }, { "recvmsg", AUDIT_ARCH_S390X, 372 },
	{ "recvmsg", AUDIT_ARCH_PPC64LE, 342 },
	{ "shutdown", AUDIT_ARCH_I386, 373 }, { "shutdown", AUDIT_ARCH_S390X, 373 },
	{ "shutdown", AUDIT_ARCH_PPC64LE, 338 },
	{ "recvmmsg", AUDIT_ARCH_I386, 337 }, { "recvmmsg", AUDIT_ARCH_S390X, 357 },
	{ "recvmmsg", AUDIT_ARCH_PPC64LE, 343 },
	{ "sendmmsg", AUDIT_ARCH_I386, 345 }, { "sendmmsg", AUDIT_ARCH_S390X, 358 },
	{ "sendmmsg", AUDIT_ARCH_PPC64LE, 349 },
	{ "semtimedop", AUDIT_ARCH_S390X, 392 }, { "semtimedop", AUDIT_ARCH_PPC64LE, 392 },
	{ "semget", 0, 393 }, { "semctl", 0, 394 }, { "shmget", 0, 395 }, { "shmctl", 0, 396 }, { "shmat", 0, 397 },
	{ "shmdt", 0, 398 }, { "msgget", 0, 399 }, { "msgsnd", 0, 400 }, { "msgrcv", 0, 401 }, { "msgctl", 0, 402 },
};
const size_t policy_numbers_len = ARRAY_LEN(policy_numbers);
