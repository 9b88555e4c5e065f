#include "sandbox/policy_table.h"

#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))

#define WHOLE 0xffffffffu

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
 * Refusals come on top of what the groups allow. Allowances are all that is allowed of a call that stands in no
 * group; its other values get ENOSYS, the default.
 */
const struct policy_argument policy_arguments[] = {
	{ "clone", "CLONE_NEWNS", 0, 0x00020000, 0x00020000, VERDICT_EPERM },
	{ "clone", "CLONE_NEWCGROUP", 0, 0x02000000, 0x02000000, VERDICT_EPERM },
	{ "clone", "CLONE_NEWUTS", 0, 0x04000000, 0x04000000, VERDICT_EPERM },
	{ "clone", "CLONE_NEWIPC", 0, 0x08000000, 0x08000000, VERDICT_EPERM },
	{ "clone", "CLONE_NEWUSER", 0, 0x10000000, 0x10000000, VERDICT_EPERM },
	{ "clone", "CLONE_NEWPID", 0, 0x20000000, 0x20000000, VERDICT_EPERM },
	{ "clone", "CLONE_NEWNET", 0, 0x40000000, 0x40000000, VERDICT_EPERM },
	{ "ioctl", "TIOCSTI types into the terminal of the caller (CVE-2017-5226)", 1, WHOLE, 0x5412,
		VERDICT_EPERM },
	{ "ioctl", "TIOCLINUX does the same on a console", 1, WHOLE, 0x541C, VERDICT_EPERM },
	{ "socket", "AF_ALG: the kernel's crypto, a page cache write (CVE-2026-31431)", 0, WHOLE, 38,
		VERDICT_EPERM },
	{ "socket", "AF_VSOCK reaches the hypervisor", 0, WHOLE, 40, VERDICT_EPERM },
	{ "personality", "query", 0, WHOLE, 0xffffffffu, VERDICT_ALLOW },
	{ "personality", "PER_LINUX", 0, WHOLE, 0, VERDICT_ALLOW },
	{ "personality", "PER_LINUX32", 0, WHOLE, 8, VERDICT_ALLOW },
	{ "personality", "UNAME26", 0, WHOLE, 0x20000, VERDICT_ALLOW },
	{ "personality", "UNAME26 with PER_LINUX32", 0, WHOLE, 0x20008, VERDICT_ALLOW },
	{ "personality", "ADDR_NO_RANDOMIZE: gdb, emacs and sbcl bootstraps", 0, WHOLE, 0x40000,
		VERDICT_ALLOW },
};
const size_t policy_arguments_len = ARRAY_LEN(policy_arguments);
