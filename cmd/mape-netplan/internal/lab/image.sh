#!/bin/sh
# Usage: image.sh RELEASE MIRROR OUT
# Builds OUT/disk (raw ext4), OUT/kernel and OUT/initrd: a Debian as Proxmox
# users boot it, cloud-init, netplan and networkd, small enough to boot under
# emulation. Everything that decides what the image holds is in this file, so
# that its hash names the image.
set -eu
release=$1 mirror=$2 out=$3

# Snapshot mirrors and machines with odd clocks say so in their own apt; agree with it.
check() { value=true; eval "$(apt-config shell value "$1")"; echo "$value"; }

packages=systemd,systemd-sysv,dbus,udev,kmod,netplan.io,cloud-init,linux-image-cloud-amd64
packages=$packages,nftables,openssh-server,iproute2,iputils-ping,traceroute,conntrack,procps
packages=$packages,tcpdump,initramfs-tools,busybox,zstd,e2fsprogs

# The initrd needs the disk and its file system and nothing else; deciding that
# before the kernel is unpacked saves building a large one first.
cat >"$out/initramfs" <<'E'
mkdir -p "$1/etc/initramfs-tools/conf.d"
printf 'MODULES=list\nCOMPRESS=zstd\nFSTYPE=ext4\n' >"$1/etc/initramfs-tools/conf.d/lab"
printf 'virtio_pci\nvirtio_blk\next4\n' >"$1/etc/initramfs-tools/modules"
E

cat >"$out/customize" <<'E'
set -eu
root=$1
# Debian's cloud images enable networkd; without it nothing runs what netplan
# renders on the first boot, when the generator ran before cloud-init wrote it.
systemctl --root="$root" enable systemd-networkd.service nftables.service
# An empty machine-id is filled at boot, "uninitialized" would also preset every unit.
: >"$root/etc/machine-id"
echo 'datasource_list: [NoCloud, None]' >"$root/etc/cloud/cloud.cfg.d/90_dpkg.cfg"
# Keys made here serve every run: making them under emulation takes seconds.
printf 'ssh_deletekeys: false\nssh_genkeytypes: [ed25519]\n' >"$root/etc/cloud/cloud.cfg.d/91_lab.cfg"
# Modules that have no bearing on networks and take seconds each, or need what is left out here.
sed -i -E '/^ *- *(grub[-_]dpkg|apt[-_](pipelining|configure)|keys[-_]to[-_]console|locale|keyboard|growpart|resizefs|ssh[-_]authkey[-_]fingerprints|byobu|landscape|lxd|snap|fan|puppet|chef|mcollective|salt[-_]minion|rightscale_userdata|ubuntu[-_].*)$/d' \
	"$root/etc/cloud/cloud.cfg"
# What only costs time under emulation. Nothing here touches the network.
for unit in apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer e2scrub_all.timer \
	e2scrub_reap.service fstrim.timer man-db.timer getty@tty1.service serial-getty@ttyS0.service \
	systemd-pstore.service systemd-hwdb-update.service systemd-update-utmp.service; do
	ln -sf /dev/null "$root/etc/systemd/system/$unit"
done
# A reverse lookup of the client would wait for a name server that is not there.
mkdir -p "$root/etc/ssh/sshd_config.d"
printf 'UseDNS no\nPermitRootLogin prohibit-password\nMaxStartups 100\n' >"$root/etc/ssh/sshd_config.d/lab.conf"
rm -rf "$root"/var/cache/apt/* "$root"/var/lib/apt/lists/* "$root"/usr/share/doc/*
E
chmod +x "$out/initramfs" "$out/customize"

mmdebstrap --mode=root --variant=minbase --include="$packages" \
	--aptopt='Acquire::Languages "none"' \
	--aptopt="Acquire::Check-Valid-Until \"$(check Acquire::Check-Valid-Until)\"" \
	--aptopt="Acquire::Check-Date \"$(check Acquire::Check-Date)\"" \
	--dpkgopt=force-unsafe-io \
	--dpkgopt='path-exclude=/usr/share/man/*' \
	--dpkgopt='path-exclude=/usr/share/locale/*' \
	--essential-hook="$out/initramfs" \
	--customize-hook="$out/customize" \
	"$release" "$out/tree" "$mirror"

cp "$out"/tree/boot/vmlinuz-* "$out/kernel"
cp "$out"/tree/boot/initrd.img-* "$out/initrd"
rm "$out"/tree/boot/initrd.img-*
mke2fs -q -t ext4 -L root -d "$out/tree" -E lazy_itable_init=1,nodiscard "$out/disk" 2G
rm -rf "$out/tree" "$out/initramfs" "$out/customize"
