// swift-tools-version: 6.2
import PackageDescription

/// One list of settings for every Swift target: language mode 6, strict memory safety, and no warning survives a build.
let strict: [SwiftSetting] = [
    .swiftLanguageMode(.v6),
    .strictMemorySafety(),
    .treatAllWarnings(as: .error),
    .enableExperimentalFeature("Lifetimes"),
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("InternalImportsByDefault"),
    .enableUpcomingFeature("MemberImportVisibility"),
]

/// Kernels are optimised in debug builds too: an unoptimised kernel is 25 times slower and tells nothing about the product.
let kernels: [CSetting] = [.unsafeFlags(["-O3", "-Wall", "-Wextra", "-Werror"])]

/// A library module and its tests; `fixtures` are folders of the tests that are data, found by path.
func module(
    _ name: String, _ dependencies: [Target.Dependency], testedWith extra: [Target.Dependency] = [],
    fixtures: [String] = []
) -> [Target] {
    [
        .target(name: name, dependencies: dependencies, swiftSettings: strict),
        .testTarget(
            name: name + "Tests", dependencies: [.target(name: name)] + dependencies + extra, exclude: fixtures,
            swiftSettings: strict),
    ]
}

let argumentParser: Target.Dependency = .product(name: "ArgumentParser", package: "swift-argument-parser")

let systemLibraries: [Target] = [
    .systemLibrary(name: "CLMDB", pkgConfig: "lmdb", providers: [.apt(["liblmdb-dev"])]),
    .systemLibrary(name: "CZstd", pkgConfig: "libzstd", providers: [.apt(["libzstd-dev"])]),
    .systemLibrary(name: "CCrypto", pkgConfig: "libcrypto", providers: [.apt(["libssl-dev"])]),
    .systemLibrary(name: "COpenBLAS", pkgConfig: "openblas", providers: [.apt(["libopenblas-dev"])]),
]

// Arrows point down only; `tools/tidy` checks them against docs/architecture.md.
let modules: [Target] =
    [
        .target(name: "CHash", dependencies: ["CCrypto"], cSettings: kernels),
        .target(name: "CPlanes", dependencies: ["CHash"], cSettings: kernels),
        .target(name: "CEngine", cSettings: kernels),
        .target(name: "StoreTestKit", dependencies: ["PrefixStore"], path: "Tests/StoreTestKit", swiftSettings: strict),
        .executableTarget(
            name: "store-worker", dependencies: ["StoreTestKit", "PrefixStore"], path: "Tests/store-worker",
            swiftSettings: strict),
    ]
    + module("Threads", [])
    + module("KVFormat", ["CHash"])
    + module("PageCodec", ["KVFormat", "CPlanes", "CZstd", "CHash"])
    + [
        .executableTarget(
            name: "codec-bench", dependencies: ["PageCodec", "KVFormat", argumentParser], swiftSettings: strict)
    ]
    + module("LMDB", ["CLMDB"])
    + module("HotTier", ["KVFormat", "Threads", "CHash"])
    + module("ColdTier", ["KVFormat", "PageCodec", "LMDB", "Threads"])
    + module(
        "PrefixStore", ["KVFormat", "HotTier", "ColdTier", "Threads"], testedWith: ["StoreTestKit", "store-worker"])
    + module("LlamaEngine", ["PrefixStore", "KVFormat", "CEngine", "CHash", "Threads"], fixtures: ["Fixtures"])

let program: [Target] = [
    .executableTarget(
        name: "pfx",
        dependencies: ["PrefixStore", "LlamaEngine", argumentParser], swiftSettings: strict),
    .executableTarget(
        name: "engine-bench",
        dependencies: ["LlamaEngine", "PrefixStore", "KVFormat", "COpenBLAS", argumentParser], swiftSettings: strict),
    .testTarget(
        name: "PfxTests", dependencies: ["pfx", "PrefixStore", "LlamaEngine", "StoreTestKit", "store-worker"],
        exclude: ["Snapshots"], swiftSettings: strict),
]

/// `PFX_TEST_ONLY_STORE=1` leaves the engine and the program out, so that the Thread Sanitizer run of `tools/test` builds the
/// store only.
let storeOnly = Context.environment["PFX_TEST_ONLY_STORE"] == "1"
let aboveTheStore: Set = ["LlamaEngine", "LlamaEngineTests", "CEngine", "COpenBLAS", "engine-bench", "pfx", "PfxTests"]

func isWanted(_ name: String) -> Bool { !storeOnly || !aboveTheStore.contains(name) }

let package = Package(
    name: "PrefixStore",
    products: [
        .library(name: "PrefixStore", targets: ["PrefixStore"]),
        .library(name: "LlamaEngine", targets: ["LlamaEngine"]),
        .executable(name: "pfx", targets: ["pfx"]),
    ].filter { isWanted($0.name) },
    dependencies: [
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
        .package(url: "https://github.com/swiftlang/swift-docc-plugin", from: "1.5.0"),
    ],
    targets: (systemLibraries + modules + program).filter { isWanted($0.name) }
)
