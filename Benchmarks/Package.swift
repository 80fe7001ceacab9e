// swift-tools-version: 6.2
import PackageDescription

// Programs that measure the store from outside. A package of its own, so that building the store builds none of them.
let package = Package(
    name: "Benchmarks",
    dependencies: [.package(name: "PrefixStore", path: "..")],
    targets: [
        .executableTarget(
            name: "eviction", dependencies: [.product(name: "PrefixStore", package: "PrefixStore")],
            swiftSettings: [
                .swiftLanguageMode(.v6), .treatAllWarnings(as: .error), .enableUpcomingFeature("ExistentialAny"),
                .enableUpcomingFeature("InternalImportsByDefault"), .enableUpcomingFeature("MemberImportVisibility"),
            ])
    ]
)
