#!/bin/sh
# The first process of a virtual machine (scripts/vm.py): makes the root out of this machine's own
# and a tmpfs, runs the command there and ends the machine.
export PATH=/bin:/usr/sbin:/usr/bin:/sbin

if [ "$1" != entered ]; then
    # In the initramfs, which has busybox alone.
    /bin/busybox --install -s /bin
    mount -t proc proc /proc
    mount -t sysfs sys /sys
    mount -t devtmpfs dev /dev
    stty -onlcr < /dev/console
    while read -r module; do insmod "$module"; done < /modules/order
    # What is on the host does not change meanwhile, as far as we are concerned.
    mount -t 9p -o trans=virtio,version=9p2000.L,msize=262144,cache=loose,ro host /host || echo "no host"
    mount -t tmpfs -o mode=755 written /written
    mkdir /written/upper /written/work
    mount -t overlay -o lowerdir=/host,upperdir=/written/upper,workdir=/written/work root /newroot
    cd /newroot || exit 1
    mount --move /dev dev
    mount -t proc proc proc
    mount -t sysfs sys sys
    mount -t cgroup2 cgroup sys/fs/cgroup
    mkdir -p dev/pts dev/shm
    mount -t devpts -o gid=5,mode=620,ptmxmode=666 devpts dev/pts
    for directory in dev/shm tmp run; do mount -t tmpfs tmpfs $directory; done
    chmod 1777 tmp dev/shm
    mkdir run/vm run/lock
    mount -t 9p -o trans=virtio,version=9p2000.L,msize=262144 share run/vm
    . run/vm/script
    mkdir -p usr/lib/modules
    mount --bind "/host$modules" usr/lib/modules
    for directory in $writable; do
        mkdir -p "/newroot$directory"
        mount -t tmpfs tmpfs "/newroot$directory"
    done
    cp /init run/vm-init
    umount /proc /sys
    exec switch_root /newroot /bin/sh /run/vm-init entered < /dev/console > /dev/console 2>&1
fi

. /run/vm/script
ip link set lo up
hostname vm
cd "$directory" || exit 1
env -i PATH="$PATH:/usr/local/sbin:/usr/local/bin" HOME=/root LC_ALL=C.UTF-8 \
    PYTHONDONTWRITEBYTECODE=1 sh -c "exec $command" < /dev/null
echo $? > /run/vm/status
sync
# With -no-reboot this is the end of QEMU.
busybox reboot -f
