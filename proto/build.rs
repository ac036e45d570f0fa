//! Generates code from `proto/` with `protox`, so that no `protoc` is needed.

fn main() {
    #[cfg(feature = "matchmaking")]
    generate();
}

#[cfg(feature = "matchmaking")]
fn generate() {
    let datagrams = protox::compile(["proto/ttg/matchmaking/v1/matchmaking.proto"], ["proto"]);
    let datagrams = datagrams.expect("the .proto file compiles");
    prost_build::Config::new().compile_fds(datagrams).expect("code generation");
    #[cfg(feature = "grpc")]
    generate_grpc();
    println!("cargo:rerun-if-changed=proto");
}

#[cfg(feature = "grpc")]
fn generate_grpc() {
    use protox::prost_reflect::prost::Message;
    let files = [
        "proto/ttg/gateway/v1/gateway.proto",
        "proto/ttg/admin/v1/admin.proto",
        "proto/ttg/control/v1/state.proto",
    ];
    let set = protox::compile(files, ["proto"]).expect("the .proto files compile");
    let out = std::path::PathBuf::from(std::env::var_os("OUT_DIR").expect("cargo sets OUT_DIR"));
    std::fs::write(out.join("descriptors.bin"), set.encode_to_vec()).expect("OUT_DIR is writable");
    tonic_prost_build::configure().btree_map(".").compile_fds(set).expect("code generation");
}
