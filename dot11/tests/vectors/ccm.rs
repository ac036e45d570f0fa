//! CCM vectors with a 13-octet nonce and an 8-octet MIC, as CCMP has them.

/// RFC 3610 §8, packet vectors 1 to 6: nonce, octets of AAD, plaintext (AAD is 00, 01, 02, … and the plaintext goes on
/// from there), ciphertext and MIC. The key is [`RFC3610_KEY`].
pub const RFC3610: &[(&str, u8, u8, &str)] = &[
    ("00000003020100a0a1a2a3a4a5", 8, 23, "588c979a61c663d2f066d0c2c0f989806d5f6b61dac38417e8d12cfdf926e0"),
    ("00000004030201a0a1a2a3a4a5", 8, 24, "72c91a36e135f8cf291ca894085c87e3cc15c439c9e43a3ba091d56e10400916"),
    (
        "00000005040302a0a1a2a3a4a5",
        8,
        25,
        "51b1e5f44a197d1da46b0f8e2d282ae871e838bb64da8596574adaa76fbd9fb0c5",
    ),
    ("00000006050403a0a1a2a3a4a5", 12, 19, "a28c6865939a9a79faaa5c4c2a9d4a91cdac8c96c861b9c9e61ef1"),
    ("00000007060504a0a1a2a3a4a5", 12, 20, "dcf1fb7b5d9e23fb9d4e131253658ad86ebdca3e51e83f077d9c2d93"),
    ("00000008070605a0a1a2a3a4a5", 12, 21, "6fc1b011f006568b5171a42d953d469b2570a4bd87405a0443ac91cb94"),
];

/// Key of [`RFC3610`].
pub const RFC3610_KEY: &str = "c0c1c2c3c4c5c6c7c8c9cacbcccdcecf";

/// Key of [`CAVP`].
pub const CAVP_KEY: &str = "368f35a1f80eaaacd6bb136609389727";
/// Nonce of [`CAVP`].
pub const CAVP_NONCE: &str = "842a8445847502ea77363a16b6";

/// NIST CAVP, CCM test vectors, VTT128.rsp, Alen = 32, Plen = 24, Nlen = 13, Tlen = 8: AAD, payload, ciphertext and MIC.
pub const CAVP: &[[&str; 3]] = &[
    [
        "34396dfcfa6f742aea7040976bd596497a7a6fa4fb85ee8e4ca394d02095b7bf",
        "1cccd55825316a94c5979e049310d1d717cdfb7624289dac",
        "1a58094f0e8c6035a5584bfa8d1009c5f78fd2ca487ff222f6d1d897d6051618",
    ],
    [
        "25865c1b89f1973bfa680d8458df35a56993a7e81e407e061794004068e481ab",
        "36004342dd74e7966692a848b2c11e1fc311eac9d9cef616",
        "30949f55f6c9ed37065d7db6acc1c60d2353c375b5999998ceca422687f41550",
    ],
    [
        "e6209480da9e49172ba58a9048f2f1b0349030e8e7a79dcdf295eecd613f401a",
        "e81f4fb360bcae372d8be3f32655a29bc10a2f31876173cc",
        "ee8b93a44b01a4964d44360d38557a892148068deb361c42d2b981fc741f2591",
    ],
    [
        "112c969882e685b4ae1ee6b67f680e6a1d9d840e627d12118f991c1a3d71314c",
        "27d6443e729d35d7a0690fcb7fe0b20892875f60b5d8763a",
        "2142982959203f76c0a6da3561e06a1a72c576dcd98f19b4a1fd47cd41fcf013",
    ],
    [
        "73ef62870c50faca5d4e6c6ec45fa7b54bf79ed229fcf1fc8c79c9c09596039b",
        "6c17ad5496dfccde8b877630e1e582dab52aaabe385a321f",
        "6a837143bd62c67feb48a3ceffe55ac855688302540d5d9143eb86ffa6958d71",
    ],
    [
        "b537f0f2981405f6069b401966656461b3516a32d181777121a60cea537e7cef",
        "dc4a1e39561f14321238272adff8b74a4e770c0a0c864a52",
        "dadec22e7da21e9372f7f2d4c1f86f58ae3525b660d125dc1dfc38975c948d29",
    ],
    [
        "96bd747ccdcd5fa6cd920514a2f38203e82ee9c7ec6e88080e9f6e2a6a812b0d",
        "c51958d7d7d39906b14d4ebb574db881355ec3e6b41838dd",
        "c38d84c0fc6e93a7d1829b45494d6093d51cea5ad84f575320a48ee3845d9e7a",
    ],
    [
        "690d6a2377314fc2f7dd06ae401e3585c79faf648a7af358ae4ef615669222eb",
        "9eaf24f84e8818e286410de321d65ffbf25d1a14073c60da",
        "983bf8ef65351243e68ed81d3fd687e9121f33a86b6b0f54884188f946c9a317",
    ],
    [
        "748dc83299a43033239ad2fef2dc3d72b76a38ca127607cef72de94a56d5e5c0",
        "71c8eb0079559a306e236c49b7ce1b6cfe26c7888733eb7e",
        "775c371752e890910eecb9b7a9cec37e1e64ee34eb6484f00ae2dd33327f8459",
    ],
    [
        "35a49535684637f67573fb0b4fdc1bdd8a57650a1d8f29b866fa552a6e0cdf91",
        "f09569906381138cc49e3fc2384c5d33c34abd3d617c487b",
        "f601b587483c192da451ea3c264c8521230894810d2b27f5c50821a48b93d0ca",
    ],
];
