#!/bin/sh
# Makes a gateway of a Debian cloud image on a Proxmox VE host. To be run there as
# root, in a directory with mape-netplan (the static binary) and cloud-init.yaml.
# The storage "local" must take snippets: Datacenter > Storage > local > Content.
set -eu

id=105
lan=vmbr0                  # where the home's machines are
wan=vmbr1                  # where the ONU or the home gateway is
address=192.168.1.5/24     # on the LAN; no gateway: that is the tunnel
storage=local-lvm          # for the disk
keys=$HOME/.ssh/authorized_keys # whose keys the VM lets in; your desktop's is to be there
image=debian-13-genericcloud-amd64.qcow2

fail() {
	echo "proxmox.sh: $*" >&2
	exit 1
}

pvesh get /cluster/nextid --vmid "$id" >/dev/null ||
	fail "VM id $id is not free: set another id; to retry, first qm stop $id and qm destroy $id"

# Proxmox takes keys only, no comments.
only=$(mktemp)
trap 'rm -f "$only"' EXIT
grep -Ev '^[[:space:]]*(#|$)' "$keys" >"$only" || :
echo "The keys that the VM will let in:"
ssh-keygen -lf "$only" ||
	fail "no key in $keys: on your desktop, run ssh-copy-id for this host first"

if [ ! -e "$image" ]; then
	wget -O "$image.part" "https://cloud.debian.org/images/cloud/trixie/latest/$image"
	mv "$image.part" "$image"
fi
genisoimage -quiet -J -r -V mape -o /var/lib/vz/template/iso/mape-netplan.iso mape-netplan
install -D -m 644 cloud-init.yaml /var/lib/vz/snippets/mape-netplan.yaml

qm create "$id" --name ipoe-gw --ostype l26 --cpu host --cores 2 --memory 1024 --onboot 1 \
	--net0 "virtio,bridge=$lan" --net1 "virtio,bridge=$wan" \
	--scsihw virtio-scsi-pci --scsi0 "$storage:0,import-from=$PWD/$image" --boot order=scsi0 \
	--scsi1 "$storage:cloudinit" --scsi2 local:iso/mape-netplan.iso,media=cdrom \
	--serial0 socket --vga serial0
# vendor= is added to what the Cloud-Init tab says; user= would replace it, the
# user and the ssh keys included. There is no IPv4 yet to upgrade packages by.
qm set "$id" --ciuser debian --sshkeys "$only" --ciupgrade 0 \
	--ipconfig0 "ip=$address" --ipconfig1 ip6=auto \
	--cicustom vendor=local:snippets/mape-netplan.yaml
qm start "$id"
