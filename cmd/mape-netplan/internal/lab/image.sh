#!/bin/sh
# Usage: image.sh RELEASE MIRROR OUT
# Builds OUT/disk (raw ext4), OUT/kernel and OUT/initrd: a Debian as Proxmox
# users boot it, with cloud-init, netplan and networkd, made to boot fast under
# emulation. Everything that decides what the image holds is in this file, so
# that its hash names the image.
set -eu
release=$1 mirror=$2 out=$3

# Machines with odd clocks say so in their own apt; agree with it.
date=true
eval "$(apt-config shell date Acquire::Check-Date)"

packages=systemd,systemd-sysv,dbus,udev,kmod,netplan.io,cloud-init,linux-image-cloud-amd64
packages=$packages,nftables,openssh-server,iproute2,iputils-ping,traceroute,conntrack,procps
packages=$packages,tcpdump,e2fsprogs,busybox-static,cpio,xz-utils
# Since netplan 1.2 the boot waits for name servers, as systemd-resolved has them, and fails without it.
[ "$release" = bookworm ] || [ "$release" = trixie ] || packages=$packages,systemd-resolved

cat >"$out/essential" <<'E'
set -eu
# Debian's initrd probes for every kind of disk and takes ten seconds; ours is below.
mkdir -p "$1/etc/initramfs-tools"
echo update_initramfs=no >"$1/etc/initramfs-tools/update-initramfs.conf"
E

cat >"$out/customize" <<'E'
set -eu
root=$1
# Debian's cloud images enable networkd; without it nothing runs what netplan
# renders on the first boot, when the generator ran before cloud-init wrote it.
# nftables.service is for those who have it: it starts with "flush ruleset".
systemctl --root="$root" enable systemd-networkd.service nftables.service
# An empty machine-id is filled at boot, "uninitialized" would also preset every unit.
: >"$root/etc/machine-id"
echo 'datasource_list: [NoCloud, None]' >"$root/etc/cloud/cloud.cfg.d/90_dpkg.cfg"
# Keys made here serve every run: making them under emulation takes seconds.
printf 'ssh_deletekeys: false\nssh_genkeytypes: [ed25519]\n' >"$root/etc/cloud/cloud.cfg.d/91_lab.cfg"
# Modules that have no bearing on networks and take seconds each, or need what is left out here.
drop='grub.dpkg|apt.pipelining|apt.configure|keys.to.console|locale|keyboard|growpart|resizefs'
drop="$drop|ssh.authkey.fingerprints|byobu|landscape|lxd|snap|fan|puppet|chef|mcollective|salt.minion|rightscale.userdata"
sed -i -E "/^ *- *($drop)\$/d" "$root/etc/cloud/cloud.cfg"
# What only costs time under emulation. Nothing here touches the network.
for unit in apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer e2scrub_all.timer \
	e2scrub_reap.service fstrim.timer man-db.timer getty@tty1.service serial-getty@ttyS0.service \
	systemd-pstore.service systemd-hwdb-update.service systemd-update-utmp.service \
	systemd-binfmt.service dev-hugepages.mount dev-mqueue.mount sys-kernel-debug.mount \
	sys-kernel-tracing.mount sys-kernel-config.mount sys-fs-fuse-connections.mount; do
	ln -sf /dev/null "$root/etc/systemd/system/$unit"
done
mkdir -p "$root/etc/ssh/sshd_config.d"
printf 'UseDNS no\nPermitRootLogin prohibit-password\n' >"$root/etc/ssh/sshd_config.d/lab.conf"
rm -rf "$root"/var/cache/apt/* "$root"/var/lib/apt/lists/* "$root"/usr/share/doc/*
E
chmod +x "$out/essential" "$out/customize"

# Package lists may be past their expiry date: a mirror can be behind, or a snapshot.
mmdebstrap --mode=root --variant=minbase --include="$packages" \
	--aptopt='Acquire::Languages "none"' \
	--aptopt='Acquire::Check-Valid-Until "false"' \
	--aptopt="Acquire::Check-Date \"$date\"" \
	--dpkgopt=force-unsafe-io --dpkgopt=force-confold \
	--dpkgopt='path-exclude=/usr/share/man/*' \
	--dpkgopt='path-exclude=/usr/share/locale/*' \
	--essential-hook="$out/essential" \
	--customize-hook="$out/customize" \
	"$release" "$out/tree" "$mirror"

# The initrd: the modules for the disk, in the order of their dependencies, and one script.
tree=$out/tree
ird=$tree/ird
mkdir -p "$ird/bin" "$ird/dev" "$ird/proc" "$ird/root" "$ird/modules"
cp "$tree/bin/busybox" "$ird/bin/busybox"
n=10
chroot "$tree" modprobe -aS "$(ls "$tree/lib/modules")" --show-depends virtio_pci virtio_blk ext4 |
	while read -r how module _; do
		[ "$how" = insmod ] || continue # built in
		case $module in
		*.xz) chroot "$tree" xz -dc "$module" ;;
		*) cat "$tree$module" ;;
		esac >"$ird/modules/$n.ko"
		n=$((n + 1))
	done
cat >"$ird/init" <<'E'
#!/bin/busybox sh
busybox mount -t devtmpfs dev /dev
busybox mount -t proc proc /proc
for module in /modules/*; do busybox insmod "$module" 2>/dev/null; done
until [ -b /dev/vda ]; do busybox sleep 0.1; done
busybox mount -t ext4 /dev/vda /root
busybox umount /proc
busybox mount --move /dev /root/dev
exec busybox switch_root /root /sbin/init
E
chmod +x "$ird/init"
chroot "$tree" sh -c 'cd /ird && find . | cpio -o -H newc --quiet' >"$out/initrd"
rm -rf "$ird"

cp "$tree"/boot/vmlinuz-* "$out/kernel"
mke2fs -q -t ext4 -L root -d "$tree" -E lazy_itable_init=1,nodiscard "$out/disk" 2G
rm -rf "$tree" "$out/essential" "$out/customize"
