//! Compiles the shim against the installed DPDK, makes its Rust declarations, and says what to link.

use std::env;
use std::path::PathBuf;
use std::process::{Command, exit};

/// What the shim calls itself. Drivers are not among them: the EAL loads them as plugins, which it does exactly when it is linked dynamically.
const LIBRARIES: [&str; 5] = ["rte_ethdev", "rte_mbuf", "rte_mempool", "rte_net", "rte_eal"];

fn main() {
    for file in ["build.rs", "shim/shim.c", "shim/shim.h"] {
        println!("cargo:rerun-if-changed={file}");
    }
    println!("cargo:rerun-if-env-changed=PKG_CONFIG_PATH");
    let mut shim = cc::Build::new();
    // All of them, in their order, and without `-march` the inline functions do not compile.
    for flag in pkg_config(&["--cflags", "libdpdk >= 21.11"]).split_whitespace() {
        shim.flag(flag);
    }
    // The optimisation is that of a packet path in every profile.
    shim.opt_level(3).flag("-Wno-deprecated-declarations").file("shim/shim.c").compile("dpdk_shim");
    println!("cargo:rustc-link-search=native={}", pkg_config(&["--variable=libdir", "libdpdk"]).trim());
    for library in LIBRARIES {
        println!("cargo:rustc-link-lib=dylib={library}");
    }

    let to = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets it")).join("shim.rs");
    // Only the shim's own header: libclang needs neither DPDK's headers nor the compiler's for it.
    let declarations = bindgen::Builder::default()
        .header("shim/shim.h")
        .allowlist_item("(dpdk|DPDK)_.*")
        .rust_edition(bindgen::RustEdition::Edition2024)
        .prepend_enum_name(false)
        .generate_comments(false)
        .formatter(bindgen::Formatter::None)
        .generate();
    match declarations {
        Ok(declarations) => declarations.write_to_file(to).expect("OUT_DIR can be written"),
        Err(error) => give_up(&format!("bindgen cannot read dataplane/dpdk-sys/shim/shim.h: {error}")),
    }
}

fn pkg_config(arguments: &[&str]) -> String {
    match Command::new("pkg-config").args(arguments).output() {
        Ok(output) if output.status.success() => String::from_utf8_lossy(&output.stdout).into_owned(),
        Ok(output) => {
            let said = String::from_utf8_lossy(&output.stderr);
            give_up(&format!("pkg-config does not find DPDK: {}", said.lines().next().unwrap_or_default()))
        }
        Err(error) => give_up(&format!("pkg-config does not run: {error}")),
    }
}

fn give_up(reason: &str) -> ! {
    eprintln!(
        "\n{reason}\n\nInstall what building with DPDK needs (`deploy/setup.sh build`; on Debian: libdpdk-dev libclang1 pkg-config), \
         or build without it: `--no-default-features`.\n"
    );
    exit(1)
}
