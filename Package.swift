// swift-tools-version: 6.2
import PackageDescription

/// `PFX_DEVELOP=1` is for people who work on PrefixStore itself: it adds the benchmarks and the documentation plugin,
/// and optimises the C kernels in debug builds too, where unoptimised ones are 25 times slower and tell nothing about
/// the product. Users leave it unset: SwiftPM refuses a versioned dependency (`from:`) on a package whose targets have
/// unsafe flags.
let isDevelopment = Context.environment["PFX_DEVELOP"] == "1"

/// `PFX_TEST_ONLY_STORE=1` leaves out everything above the store, so that the Thread Sanitizer run of `tools/test`
/// builds the store only.
let isStoreOnly = Context.environment["PFX_TEST_ONLY_STORE"] == "1"

/// `PFX_FUZZ=1` is for `tools/fuzz`: it adds the fuzz targets. libFuzzer brings the main function, so `pfx` is a
/// library then, whose own main function has another name.
let isFuzzing = Context.environment["PFX_FUZZ"] == "1"

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
let kernels: [CSetting] = isDevelopment ? [.unsafeFlags(["-O3", "-Wall", "-Wextra", "-Werror"])] : []

let argumentParser: Target.Dependency = .product(name: "ArgumentParser", package: "swift-argument-parser")

/// Floors are the folders of `Sources`, from the ground up. An arrow leads down, or to a module further up in the same
/// list; `tools/tidy` checks the arrows against docs/architecture.md.
enum Floor: String {
    case ground = "Ground"
    case values = "Values"
    case store = "Store"
    case engine = "Engine"
    case faces = "Faces"

    /// The module map of a C library.
    func library(_ name: String, pkgConfig: String, package: String) -> [Target] {
        [
            .systemLibrary(
                name: name, path: "Sources/\(rawValue)/\(name)", pkgConfig: pkgConfig, providers: [.apt([package])])
        ]
    }

    /// A module of C kernels.
    func kernel(_ name: String, _ dependencies: [Target.Dependency] = []) -> [Target] {
        [.target(name: name, dependencies: dependencies, path: "Sources/\(rawValue)/\(name)", cSettings: kernels)]
    }

    /// A Swift module and its tests; `fixtures` are folders of the tests that are data, found by path.
    func module(
        _ name: String, _ dependencies: [Target.Dependency] = [], testedWith extra: [Target.Dependency] = [],
        fixtures: [String] = []
    ) -> [Target] {
        [
            .target(
                name: name, dependencies: dependencies, path: "Sources/\(rawValue)/\(name)", swiftSettings: strict),
            .testTarget(
                name: name + "Tests", dependencies: [.target(name: name), "TestKit"] + dependencies + extra,
                exclude: fixtures,
                swiftSettings: strict),
        ]
    }
}

let store: [Target] =
    Floor.ground.library("CLMDB", pkgConfig: "lmdb", package: "liblmdb-dev")
    + Floor.ground.library("CZstd", pkgConfig: "libzstd", package: "libzstd-dev")
    + Floor.ground.library("CCrypto", pkgConfig: "libcrypto", package: "libssl-dev")
    + Floor.ground.kernel("CLevel")
    + Floor.ground.kernel("CHash", ["CCrypto", "CLevel"])
    + Floor.ground.kernel("CSeal", ["CCrypto"])
    + Floor.ground.kernel("CTLS", ["CCrypto"])
    + Floor.ground.kernel("CCurl")
    + Floor.ground.kernel("CPlanes", ["CHash", "CLevel"])
    + Floor.values.module("Threads")
    + Floor.values.module("KVFormat", ["CHash", "CLevel", "CSeal"])
    + Floor.store.module("PageCodec", ["KVFormat", "CPlanes", "CZstd", "CHash", "CLevel"])
    + Floor.store.module("LMDB", ["CLMDB", "Threads"], testedWith: ["CFaults", "StoreTestKit", "store-worker"])
    + Floor.store.module("HotTier", ["KVFormat", "Threads"])
    + Floor.store.module(
        "Records", ["KVFormat", "PageCodec", "Threads"], testedWith: ["ColdTier", "StoreTestKit"])
    + Floor.store.module("ColdTier", ["KVFormat", "PageCodec", "Records", "LMDB", "Threads"], testedWith: ["CFaults"])
    + Floor.store.module(
        "RemoteTier", ["CCurl", "CTLS", "KVFormat", "PageCodec", "Records", "Threads"],
        testedWith: ["StoreTestKit", "store-worker"])
    + Floor.store.module(
        "PrefixStore", ["KVFormat", "HotTier", "Records", "ColdTier", "RemoteTier", "Threads"],
        testedWith: ["StoreTestKit", "store-worker", "readme-example"])
    + [
        .target(name: "TestKit", dependencies: ["KVFormat", "Threads"], path: "Tests/TestKit", swiftSettings: strict),
        .target(name: "CFaults", path: "Tests/CFaults", cSettings: kernels),
        .target(
            name: "StoreTestKit",
            dependencies: ["PrefixStore", "Records", "PageCodec", "KVFormat", "Threads", "TestKit"],
            path: "Tests/StoreTestKit", swiftSettings: strict),
        .target(
            name: "Torture", dependencies: ["CFaults", "StoreTestKit", "PrefixStore", "TestKit"],
            path: "Tests/Torture", swiftSettings: strict),
        .executableTarget(
            name: "store-worker",
            dependencies: ["Torture", "StoreTestKit", "PrefixStore", "ColdTier", "LMDB", "Threads"],
            path: "Tests/store-worker", swiftSettings: strict),
        // With the settings of a package that has none, as the reader's is.
        .executableTarget(name: "readme-example", dependencies: ["PrefixStore"], path: "Tests/readme-example"),
    ]

let pfxDependencies: [Target.Dependency] = ["PrefixStore", "LlamaEngine", argumentParser]

let aboveTheStore: [Target] =
    Floor.engine.kernel("CEngine", ["CLevel"])
    + Floor.engine.module(
        "LlamaEngine", ["PrefixStore", "KVFormat", "CEngine", "CHash"], testedWith: ["Threads"], fixtures: ["Fixtures"])
    + [
        isFuzzing
            ? .target(
                name: "pfx", dependencies: pfxDependencies, path: "Sources/Faces/pfx",
                swiftSettings: strict + [
                    .unsafeFlags(["-Xfrontend", "-entry-point-function-name", "-Xfrontend", "pfx_main"])
                ])
            : .executableTarget(
                name: "pfx", dependencies: pfxDependencies, path: "Sources/Faces/pfx", swiftSettings: strict),
        .testTarget(
            name: "PfxTests",
            dependencies: ["pfx", "PrefixStore", "LlamaEngine", "StoreTestKit", "store-worker", "TestKit"],
            exclude: ["Snapshots"], swiftSettings: strict),
    ]

/// The C library: its header, and the functions that the compiler compares with it. Swift 6.2 cannot compile those.
/// `tools/build-c-library` makes and installs it.
#if compiler(>=6.3)
    let cLibrary: [Target] = [
        .target(name: "CPrefixStore", path: "Sources/Faces/CPrefixStore", cSettings: kernels),
        .target(
            name: "PrefixStoreC", dependencies: ["CPrefixStore", "PrefixStore", "Threads"],
            path: "Sources/Faces/PrefixStoreC", swiftSettings: strict),
    ]
    let cProducts: [Product] = [.library(name: "prefixstore", type: .dynamic, targets: ["PrefixStoreC"])]
#else
    let cLibrary: [Target] = []
    let cProducts: [Product] = []
#endif

func benchmark(_ name: String, _ dependencies: [Target.Dependency]) -> Target {
    .executableTarget(name: name, dependencies: dependencies, path: "Benchmarks/\(name)", swiftSettings: strict)
}

let benchmarks: [Target] = [
    .systemLibrary(
        name: "COpenBLAS", path: "Benchmarks/COpenBLAS", pkgConfig: "openblas", providers: [.apt(["libopenblas-dev"])]),
    // Without pkg-config: hiredis.pc has a flag that SwiftPM warns of.
    .systemLibrary(name: "CHiredis", path: "Benchmarks/CHiredis", providers: [.apt(["libhiredis-dev"])]),
    .target(name: "CTraceClock", path: "Benchmarks/CTraceClock", cSettings: kernels),
    .target(name: "CAllocationCounter", path: "Benchmarks/CAllocationCounter", cSettings: kernels),
    benchmark("codec-bench", ["PageCodec", "KVFormat", argumentParser]),
    benchmark("engine-bench", ["LlamaEngine", "PrefixStore", "KVFormat", "COpenBLAS", argumentParser]),
    benchmark("eviction", ["PrefixStore", "CTraceClock"]),
    benchmark("lookup", ["PrefixStore", "CAllocationCounter"]),
    benchmark("remote", ["PrefixStore", "CHiredis"]),
    benchmark("real-pages", ["PrefixStore", "LlamaEngine"]),
    benchmark("scale", ["PrefixStore"]),
]

let fuzzing: [Target] = [
    .executableTarget(
        name: "fuzz",
        dependencies: [
            "CLevel", "ColdTier", "CPlanes", "KVFormat", "LlamaEngine", "LMDB", "PageCodec", "pfx", "PrefixStore",
            "Records", "RemoteTier", "StoreTestKit", "TestKit", "CPrefixStore", "PrefixStoreC",
        ],
        path: "Tests/Fuzz", swiftSettings: strict + [.unsafeFlags(["-parse-as-library"])])
]

let package = Package(
    name: "PrefixStore",
    products: [.library(name: "PrefixStore", targets: ["PrefixStore"])]
        + (isStoreOnly
            ? []
            : [
                .library(name: "LlamaEngine", targets: ["LlamaEngine"])
            ] + (isFuzzing ? [] : [.executable(name: "pfx", targets: ["pfx"])]) + cProducts),
    dependencies: [.package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2")]
        + (isDevelopment ? [.package(url: "https://github.com/swiftlang/swift-docc-plugin", from: "1.5.0")] : []),
    targets: store + (isStoreOnly ? [] : aboveTheStore + cLibrary) + (isStoreOnly || !isDevelopment ? [] : benchmarks)
        + (isFuzzing ? fuzzing : [])
)
