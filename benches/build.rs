//! Tells the benchmarks which compiler made them, and joins them to the C libraries that they compare with.

use std::process::Command;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let output = Command::new(rustc).arg("--version").output().ok().filter(|output| output.status.success());
    let version = output.and_then(|output| String::from_utf8(output.stdout).ok());
    let version = version.as_deref().map_or("unknown", str::trim);
    println!("cargo::rustc-env=BENCHES_RUSTC={version}");
    peers();
}

#[cfg(feature = "peers")]
fn peers() {
    let shim = "src/bench/kernels/peers/ipsec_mb.c";
    println!("cargo::rerun-if-changed={shim}");
    cc::Build::new().file(shim).opt_level(3).warnings(true).compile("bench_ipsec_mb");
    println!("cargo::rustc-link-lib=dylib=IPSec_MB");
    println!("cargo::rustc-link-lib=dylib=crypto");
}

#[cfg(not(feature = "peers"))]
fn peers() {}
