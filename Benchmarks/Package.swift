// swift-tools-version: 6.2
import PackageDescription

let strict: [SwiftSetting] = [
    .swiftLanguageMode(.v6), .treatAllWarnings(as: .error), .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("InternalImportsByDefault"), .enableUpcomingFeature("MemberImportVisibility"),
]
let store: Target.Dependency = .product(name: "PrefixStore", package: "PrefixStore")

// Programs that measure the store from outside. A package of its own, so that building the store builds none of them.
let package = Package(
    name: "Benchmarks",
    dependencies: [.package(name: "PrefixStore", path: "..")],
    targets: [
        .target(name: "CAllocationCounter"),
        .executableTarget(name: "eviction", dependencies: [store], swiftSettings: strict),
        .executableTarget(
            name: "real-pages", dependencies: [store, .product(name: "LlamaEngine", package: "PrefixStore")],
            swiftSettings: strict),
        .executableTarget(name: "lookup", dependencies: [store, "CAllocationCounter"], swiftSettings: strict),
    ]
)
