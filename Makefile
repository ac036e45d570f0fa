# make demo    devices coming online through the gateway, in the terminal; ONCE=1 ends after the first traffic
# make test    formatting, lints and every test that needs no virtual machine
# make audit   licences and advisories of every dependency (cargo install cargo-deny)
# make lab     real Wi-Fi devices against the gateway, in a virtual machine (needs root)
# make faults  kill -9 of control processes, databases and Redis nodes under load, and nothing may be lost; ROUNDS=1000
# make bench   comparison tables; ONLY="kernels,table" restricts them
# make test-aarch64   the CCMP kernel for aarch64, in emulation
# make clean   removes what was built
#
# Each installs the Debian packages that it lacks; CASES="wpa2-psk ttls" restricts the lab,
# and BACKEND=af_xdp has the gateway use that for its packets (deploy/lab/backends).

.PHONY: demo test test-aarch64 audit lab faults bench clean

HOST = $(shell rustc --print host-tuple)

demo:
	@deploy/setup.sh demo
	cargo build --quiet -p ttg -p radio-agent -p ttgctl -p benches
	@target/debug/demo

test:
	@deploy/setup.sh test
	cargo fmt --all --check
	cargo clippy --workspace --features benches/dpdk --all-targets -- -D warnings
	cargo test --workspace --features benches/dpdk
	@if command -v cargo-deny >/dev/null; then cargo deny check bans licenses sources; else echo 'cargo-deny is not installed: licences not checked'; fi

test-aarch64:
	@deploy/aarch64.sh

# Fetches the advisory database, which a machine without Internet cannot.
audit:
	cargo deny check

lab:
	@deploy/lab/run $(CASES)

faults:
	@deploy/setup.sh test
	cargo build --quiet -p controlplane -p benches --bin controlplane --bin faults
	@JSON=target/faults.json target/debug/faults

bench:
	@deploy/setup.sh bench
	RUSTFLAGS="-C target-feature=+crt-static" cargo build --quiet -p radio-agent --profile agent --target $(HOST) --target-dir target/static
	cargo build --quiet -p benches -p ttg -p controlplane --no-default-features --features benches/peers,benches/dpdk,ttg/dpdk --release --bin bench --bin ttg --bin controlplane
	@target/release/bench target/static/$(HOST)/agent/radio-agent target/bench.json "$(ONLY)"

clean:
	cargo clean
