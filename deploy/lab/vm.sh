# The guest: Debian's stock kernel with an initramfs made of this machine's Debian packages, under QEMU's software emulation.
#
# Sourced by `run`. Needs $cache (a directory that outlives runs) and $work (of this run, /lab in the guest).
#   vm_build        kernel and initramfs into $cache; nothing to do if they are there and current
#   vm_start        boots on the TAP vm0, on the bridge br0 (10.0.2.2 here, 10.0.2.15 there), and waits for the guest's shell
#   guest SCRIPT    runs SCRIPT in the guest as root, its output on stdout and stderr, its exit status returned

guest_packages=(dash busybox-static iw wireless-regdb wpasupplicant tcpdump iproute2 iputils-ping libgcc-s1:amd64)
guest_files=(/usr/lib/x86_64-linux-gnu/ossl-modules/legacy.so) # MD4, without which there is no MSCHAPv2
guest_modules=(virtio_pci virtio_net 9pnet_virtio 9p mac80211_hwsim ccm gcm cmac ctr aesni_intel)
vm_memory=512

vm_build() {
	local package version
	package=$(kernel_package)
	[ -n "$package" ] || { apt-get -qq update && package=$(kernel_package); }
	[ -n "$package" ] || die "apt knows no linux-image-amd64; is this Debian on amd64?"
	version=${package#linux-image-}
	kernel=$cache/$package
	[ -e "$kernel/complete" ] || unpack_kernel "$package" "$version"

	local key
	key=$({ echo "$package ${guest_modules[*]}"; dpkg-query -W "${guest_packages[@]}"; cat "$lab/vm.sh" "$lab"/guest/*; } | sha256sum)
	initrd=$cache/initrd-${key:0:16}
	[ -e "$initrd" ] || build_initrd "$version"
}

vm_start() {
	ip tuntap add vm0 mode tap
	ip link add br0 type bridge || die "the kernel has no bridges; load the module bridge"
	ip addr add 10.0.2.2/24 dev br0
	ip link set vm0 master br0 up
	ip link set br0 up
	# -accel tcg: /dev/kvm is often present but unusable inside virtual machines. The kernel is entered as ELF through its
	# PVH note: decompressing a bzImage under emulation would take longer than all of the rest of the boot.
	qemu-system-x86_64 -M q35 -accel tcg,thread=multi -cpu max -m $vm_memory -nodefaults -no-user-config -display none -no-reboot \
		-kernel "$kernel/vmlinux" -initrd "$initrd" \
		-append 'console=ttyS0 quiet loglevel=4 panic=-1 nokaslr mitigations=off random.trust_cpu=1' \
		-serial "file:$work/logs/console" \
		-device virtio-net-pci,netdev=n0,romfile= -netdev tap,id=n0,ifname=vm0,script=no,downscript=no \
		-virtfs "local,path=$work,mount_tag=lab,security_model=none" \
		</dev/null >"$work/logs/qemu" 2>&1 &
	vm_pid=$!
	local deadline=$((SECONDS + 120))
	until grep -qs 'guest: ready' "$work/logs/console"; do
		kill -0 $vm_pid 2>/dev/null || die "the guest ended while booting; see $work/logs/console and $work/logs/qemu"
		[ $SECONDS -lt $deadline ] || die "the guest did not come up in 120 s; see $work/logs/console"
		sleep 0.1
	done
	within 10 guest true || die "the guest's shell does not answer"
}

# The status comes back as the last line, because a connection has no exit status.
guest() {
	local channel line last= status
	{ exec {channel}<>/dev/tcp/10.0.2.15/7000; } 2>/dev/null || { echo "guest: no connection" >&2; return 255; }
	printf '(\n%s\n) </dev/null 2>&1\necho "status $?"\nexit\n' "$1" >&"$channel"
	while IFS= read -r -t 60 line <&"$channel"; do
		case $line in
		*"status "[0-9]*) last=$line ;;&
		"status "[0-9]*) ;;
		*"status "[0-9]*) printf '%s\n' "${line%status [0-9]*}" ;;
		*) printf '%s\n' "$line" ;;
		esac
	done
	exec {channel}>&-
	status=${last##*status }
	return "${status:-255}"
}

# ---------------------------------------------------------------- kernel and initramfs

kernel_package() { # prints what the metapackage depends on
	{ apt-cache depends linux-image-amd64 2>/dev/null || true; } | awk '$1 == "Depends:" && $2 ~ /^linux-image-/ && !n++ { print $2 }'
}

unpack_kernel() { # package version
	local fetch="apt-get -qq -o APT::Sandbox::User=root download $1"
	say "unpacking $1"
	rm -rf "$kernel"
	mkdir -p "$kernel/download"
	(cd "$kernel/download" && { $fetch || { apt-get -qq update && $fetch; }; }) ||
		die "cannot download $1 from Debian"
	dpkg-deb -x "$kernel"/download/*.deb "$kernel"
	rm -r "$kernel/download"
	depmod -b "$kernel" "$2"
	extract_elf "$kernel/boot/vmlinuz-$2" >"$kernel/vmlinux"
	[[ $(file -b "$kernel/vmlinux") == ELF\ 64-bit* ]] || die "the kernel in $1 did not unpack to ELF"
	touch "$kernel/complete"
}

# Offsets of a bzImage's header: Documentation/arch/x86/boot.rst of the kernel. After the payload proper comes its inflated length.
extract_elf() { # vmlinuz
	local sectors offset length start
	sectors=$(od -An -tu1 -j $((0x1f1)) -N1 "$1")
	offset=$(od -An -tu4 -j $((0x248)) -N4 "$1")
	length=$(od -An -tu4 -j $((0x24c)) -N4 "$1")
	start=$(((sectors + 1) * 512 + offset))
	payload() { dd if="$1" iflag=skip_bytes,count_bytes skip=$start count=$((length - 4)) bs=1M status=none; }
	case $(od -An -tx1 -j $start -N4 "$1" | tr -d ' ') in
	fd377a58) payload "$1" | xz -dc ;;
	28b52ffd) payload "$1" | zstd -dcq ;;
	*) die "$1: unknown compression" ;;
	esac
}

build_initrd() { # kernel version
	say "building the guest's file system"
	find "$cache" -maxdepth 1 -name 'initrd-*' -delete
	local root file
	root=$(mktemp -d "$cache/root.XXXXXX")
	mkdir -p "$root"/{etc,proc,sys,dev,tmp,run,root,lab,usr/{bin,sbin,lib,lib64},usr/lib/modules/"$1"}
	for file in bin sbin lib lib64; do ln -s "usr/$file" "$root/$file"; done

	dpkg-query -L "${guest_packages[@]}" |
		grep -E '^/(s?bin|lib|etc|usr)/' | grep -vE '^/usr/share/(doc|man|locale|lintian|bash-completion)/' | sort -u |
		while read -r file; do [ -d "$file" ] || [ ! -e "$file" ] || echo "${file#/}"; done |
		tar -C / -c -T - | tar -C "$root" -x --keep-directory-symlink
	for file in "${guest_files[@]}"; do install -D "$file" "$root$file"; done
	shared_libraries "$root"

	local module
	for module in "${guest_modules[@]}"; do
		modprobe -d "$kernel" -S "$1" --ignore-install --show-depends "$module" || die "kernel $1 has no module $module"
	done | sed -n 's/^insmod \([^ ]*\).*/\1/p' | sort -u |
		while read -r file; do install -D -m 644 "$file" "$root/${file#"$kernel"}"; done
	cp "$kernel/lib/modules/$1"/modules.{order,builtin,builtin.modinfo} "$root/lib/modules/$1/"
	depmod -b "$root" "$1"

	echo 'root:x:0:0:root:/root:/bin/sh' >"$root/etc/passwd"
	echo 'root:x:0:' >"$root/etc/group"
	for file in regulatory.db regulatory.db.p7s; do # update-alternatives' link is not among the package's files
		[ -e "$root/lib/firmware/$file" ] || ln -s $file-debian "$root/lib/firmware/$file"
	done
	install -m 755 "$lab/guest/init" "$root/init"
	install -D -m 755 "$lab/guest/lease" "$root/etc/udhcpc/default.script"
	(cd "$root" && find . -print0 | cpio -0 -o -H newc -R 0:0 --quiet) >"$initrd.new"
	mv "$initrd.new" "$initrd"
	rm -r "$root"
}

shared_libraries() { # root: adds what the ELF files in it link against
	local library
	{ find "$1" -type f \( -perm /111 -o -name '*.so*' \) -print0 | xargs -0 ldd 2>/dev/null || true; } |
		sed -nE 's/^\t(.* => )?(\/[^ ]+) \(0x.*/\2/p' | sort -u |
		while read -r library; do [ -e "$1$library" ] || install -D -m 755 "$library" "$1$library"; done
}
