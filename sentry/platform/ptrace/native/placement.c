// Where threads run: mechanism of sentry/platform/ptrace/placement.py.

static cpu_set_t allowed_cpus;  // what the sandbox was given at its start

static int start_placement(void)
{
    return sched_getaffinity(0, sizeof allowed_cpus, &allowed_cpus) < 0 ? -errno : 0;
}

int pt_cpu_count(void) { return CPU_COUNT(&allowed_cpus); }

int pt_current_cpu(void) { return sched_getcpu(); }

// Keeps a thread (0: the caller) on one processor, or with -1 on any that the
// sandbox was given.  The latter may have changed meanwhile: errors are normal.
int pt_place(int tid, int cpu)
{
    cpu_set_t one;
    const cpu_set_t *set = &allowed_cpus;
    if (cpu >= 0) {
        CPU_ZERO(&one);
        CPU_SET(cpu, &one);
        set = &one;
    }
    return sched_setaffinity(tid, sizeof one, set) < 0 ? -errno : 0;
}
