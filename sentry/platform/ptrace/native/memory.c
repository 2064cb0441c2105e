// Copies between guest memory and one kept buffer, as the guest's page
// protections allow it (process_vm_readv(2)).

#define BUFFER_SIZE 262144

// Page-aligned: unaligned bulk copies are several times slower on some hosts.
static char *copy_buffer;

static int start_memory(void)
{
    if (copy_buffer)
        return 0;
    void *memory = mmap(NULL, BUFFER_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED)
        return -errno;
    copy_buffer = memory;
    return 0;
}

char *pt_copy_buffer(void) { return copy_buffer; }

static long copy_in(int pid, unsigned long address, char *to, unsigned long size)
{
    struct iovec local = {to, size}, remote = {(void *)address, size};
    ssize_t count = process_vm_readv(pid, &local, 1, &remote, 1, 0);
    return count < 0 ? -errno : count;
}

static long copy_out(int pid, unsigned long address, const char *from, unsigned long size)
{
    struct iovec local = {(void *)from, size}, remote = {(void *)address, size};
    ssize_t count = process_vm_writev(pid, &local, 1, &remote, 1, 0);
    return count < 0 ? -errno : count;
}

// Reads into the kept buffer, at most BUFFER_SIZE; may be short.
long pt_read(int pid, unsigned long address, unsigned long size)
{
    return copy_in(pid, address, copy_buffer, size < BUFFER_SIZE ? size : BUFFER_SIZE);
}

// Reads into memory of the caller's; may be short.
long pt_read_into(int pid, unsigned long address, char *to, unsigned long size)
{
    return copy_in(pid, address, to, size);
}

#define PARTS 4

// The pieces of at most PARTS places of guest memory that are not empty; returns how many.
static unsigned long list_parts(struct iovec *remote, const unsigned long *addresses,
                                const unsigned long *sizes, unsigned long *total)
{
    unsigned long count = 0;
    *total = 0;
    for (int i = 0; i < PARTS; i++)
        if (sizes[i]) {
            remote[count++] = (struct iovec){(void *)addresses[i], sizes[i]};
            *total += sizes[i];
        }
    return count;
}

// Reads several places at once into the kept buffer, one behind the other; their sizes are no
// more than BUFFER_SIZE together.  May be short.
long pt_read_parts(int pid, unsigned long a0, unsigned long s0, unsigned long a1, unsigned long s1,
                   unsigned long a2, unsigned long s2, unsigned long a3, unsigned long s3)
{
    const unsigned long addresses[PARTS] = {a0, a1, a2, a3}, sizes[PARTS] = {s0, s1, s2, s3};
    struct iovec local = {copy_buffer, 0}, remote[PARTS];
    unsigned long count = list_parts(remote, addresses, sizes, &local.iov_len);
    ssize_t done = process_vm_readv(pid, &local, 1, remote, count, 0);
    return done < 0 ? -errno : done;
}

// Writes what lies one behind the other to several places at once; may be short.
long pt_write_parts(int pid, const char *data, unsigned long a0, unsigned long s0, unsigned long a1,
                    unsigned long s1, unsigned long a2, unsigned long s2, unsigned long a3,
                    unsigned long s3)
{
    const unsigned long addresses[PARTS] = {a0, a1, a2, a3}, sizes[PARTS] = {s0, s1, s2, s3};
    struct iovec local = {(void *)data, 0}, remote[PARTS];
    unsigned long count = list_parts(remote, addresses, sizes, &local.iov_len);
    ssize_t done = process_vm_writev(pid, &local, 1, remote, count, 0);
    return done < 0 ? -errno : done;
}

// Pieces that pt_write_pieces writes one behind the other.  They stay where they are, unless
// they lie so that copies are several times slower on some hosts: a little before their
// destination, modulo the size of a page.
#define MAX_PIECES 64
#define NEAR 256
#define WORTH_MOVING 1024

static struct iovec pieces[MAX_PIECES];
static unsigned long piece_count, piece_total, staged, piece_address;

void pt_begin_pieces(unsigned long address)
{
    piece_count = piece_total = staged = 0;
    piece_address = address;
}

// There may be MAX_PIECES.
void pt_add_piece(const char *data, unsigned long size)
{
    unsigned long to = piece_address + piece_total;
    unsigned long ahead = (to - (unsigned long)data) & 4095;
    if (ahead && ahead < NEAR && size >= WORTH_MOVING) {
        unsigned long at = staged + ((to - staged) & 4095);
        if (at + size <= BUFFER_SIZE) {
            memcpy(copy_buffer + at, data, size);
            data = copy_buffer + at;
            staged = at + size;
        }
    }
    pieces[piece_count++] = (struct iovec){(void *)data, size};
    piece_total += size;
}

// Returns how many bytes were written, which may be fewer, or -errno.
long pt_write_pieces(int pid)
{
    struct iovec remote = {(void *)piece_address, piece_total};
    ssize_t count = process_vm_writev(pid, pieces, piece_count, &remote, 1, 0);
    return count < 0 ? -errno : count;
}

long pt_write(int pid, unsigned long address, const char *data, unsigned long size)
{
    unsigned long done = 0;
    while (done < size) {
        long count = copy_out(pid, address + done, data + done, size - done);
        if (count < 0)
            return done ? (long)done : count;
        if (count == 0)
            break;
        done += (unsigned long)count;
    }
    return (long)done;
}

// Finds a NUL within `limit` bytes; the string is in the kept buffer.
// Returns its length, -ENAMETOOLONG, or -EFAULT.
long pt_read_string(int pid, unsigned long address, unsigned long limit)
{
    unsigned long done = 0;
    if (limit > BUFFER_SIZE)
        limit = BUFFER_SIZE;
    while (done < limit) {
        // To the end of the page, and of the next if that is near: a read
        // that crosses into an unmapped page is short, not an error.
        unsigned long size = 4096 - ((address + done) & 4095);
        struct iovec local, remote[2];
        if (size > limit - done)
            size = limit - done;
        unsigned long next = size < 256 ? (limit - done - size < 512 ? limit - done - size : 512) : 0;
        local = (struct iovec){copy_buffer + done, size + next};
        remote[0] = (struct iovec){(void *)(address + done), size};
        remote[1] = (struct iovec){(void *)(address + done + size), next};
        ssize_t count = process_vm_readv(pid, &local, 1, remote, next ? 2 : 1, 0);
        if (count <= 0)
            return count < 0 ? -errno : -EFAULT;
        char *end = memchr(copy_buffer + done, 0, (size_t)count);
        if (end)
            return end - copy_buffer;
        done += (unsigned long)count;
    }
    return -ENAMETOOLONG;
}

// Whether a transfer at the descriptor's own offset would block.  Our
// descriptors share their status flags with the caller of the runtime, so
// O_NONBLOCK is not ours to set.
static int would_block(int fd, short events)
{
    struct pollfd poll_fd = {fd, events, 0};
    return poll(&poll_fd, 1, 0) == 0;
}

static int is_stream(int fd) { return lseek(fd, 0, SEEK_CUR) < 0; }

// Host descriptor to guest memory; `offset` -1 is the descriptor's own.
long pt_read_from_host(int pid, int fd, unsigned long address, unsigned long size, long offset)
{
    unsigned long done = 0;
    int stream = offset < 0 && is_stream(fd);
    if (stream && would_block(fd, POLLIN))
        return -EAGAIN;
    while (done < size) {
        unsigned long want = size - done < BUFFER_SIZE ? size - done : BUFFER_SIZE;
        ssize_t count = offset < 0 ? read(fd, copy_buffer, want)
                                   : pread(fd, copy_buffer, want, offset + (long)done);
        if (count <= 0)
            return done ? (long)done : count < 0 ? -errno : 0;
        long copied = pt_write(pid, address + done, copy_buffer, (unsigned long)count);
        if (copied < count) {
            // Give back what the guest did not get.
            if (offset < 0 && !stream)
                lseek(fd, (copied < 0 ? 0 : copied) - count, SEEK_CUR);
            if (copied < 0)
                return done ? (long)done : copied;
            return (long)done + copied;
        }
        done += (unsigned long)count;
        if (stream || (unsigned long)count < want)
            break;
    }
    return (long)done;
}

// Guest memory to a host descriptor.
long pt_write_to_host(int pid, int fd, unsigned long address, unsigned long size, long offset)
{
    unsigned long done = 0;
    int stream = offset < 0 && is_stream(fd);
    // A pipe that polls writable takes PIPE_BUF bytes without blocking, no more (pipe(7)).
    unsigned long room = stream ? 4096 : BUFFER_SIZE;
    if (size == 0)
        return offset < 0 ? write(fd, copy_buffer, 0) : 0;
    while (done < size) {
        unsigned long want = size - done < room ? size - done : room;
        if (stream && would_block(fd, POLLOUT))
            return done ? (long)done : -EAGAIN;
        long copied = copy_in(pid, address + done, copy_buffer, want);
        if (copied <= 0)
            return done ? (long)done : copied < 0 ? copied : -EFAULT;
        ssize_t count = offset < 0 ? write(fd, copy_buffer, (size_t)copied)
                                   : pwrite(fd, copy_buffer, (size_t)copied, offset + (long)done);
        if (count < 0)
            return done ? (long)done : -errno;
        done += (unsigned long)count;
        if (count < copied || (unsigned long)copied < want)
            break;
    }
    return (long)done;
}
