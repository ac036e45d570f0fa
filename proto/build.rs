//! Generates the gRPC code from `proto/` with `protox`, so that no `protoc` is needed.

fn main() {
    #[cfg(feature = "grpc")]
    generate();
}

#[cfg(feature = "grpc")]
fn generate() {
    let files = [
        "proto/ttg/gateway/v1/gateway.proto",
        "proto/ttg/admin/v1/admin.proto",
        "proto/ttg/control/v1/state.proto",
    ];
    let set = protox::compile(files, ["proto"]).expect("the .proto files compile");
    let out = std::path::PathBuf::from(std::env::var_os("OUT_DIR").expect("cargo sets OUT_DIR"));
    std::fs::write(out.join("descriptors.bin"), prost_encode(&set)).expect("OUT_DIR is writable");
    tonic_prost_build::configure().btree_map(".").compile_fds(set).expect("code generation");
    println!("cargo:rerun-if-changed=proto");
}

#[cfg(feature = "grpc")]
fn prost_encode(set: &protox::prost_reflect::prost_types::FileDescriptorSet) -> Vec<u8> {
    use protox::prost_reflect::prost::Message;
    set.encode_to_vec()
}
