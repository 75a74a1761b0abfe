// swift-tools-version: 6.1
import Foundation
import PackageDescription

// Numeric loops want FMA and wide vectors in the target and no errno branch around sqrt (4x on AdamW). All Swift
// targets carry the same flags, because SIMD values cross module boundaries. HEADWAY_MARCH=native tunes for this
// machine, HEADWAY_MARCH=none drops the flag; other processors than x86-64 get none.
#if arch(x86_64)
let march = Context.environment["HEADWAY_MARCH"] ?? "x86-64-v3"
#else
let march = "none"
#endif
let target = march == "none" ? [] : ["-Xcc", "-march=\(march)"]
let swift: [SwiftSetting] = [
    .swiftLanguageMode(.v6),
    .enableUpcomingFeature("ExistentialAny"),
    .unsafeFlags(target + ["-Xcc", "-fno-math-errno", "-warnings-as-errors"]),
]

// Messages between workers need Gloo (Debian: libgloo-dev); without it everything else builds and runs. SwiftPM remembers
// what a manifest answered: after Gloo was installed, build once with HEADWAY_GLOO=1 in the environment; 0 builds without.
let hasGloo = Context.environment["HEADWAY_GLOO"].map { $0 != "0" } ?? FileManager.default.fileExists(atPath: "/usr/include/gloo/context.h")
let gloo: [SwiftSetting] = hasGloo ? [.define("HAVE_GLOO")] : []
let c: [CSetting] = [.unsafeFlags((march == "none" ? [] : ["-march=\(march)"]) + ["-Wall", "-Wextra", "-Werror"])]

func module(_ name: String, _ dependencies: [Target.Dependency], _ more: [SwiftSetting] = []) -> Target {
    .target(name: name, dependencies: dependencies, swiftSettings: swift + more)
}
func tests(_ name: String, _ dependencies: [Target.Dependency]) -> Target {
    .testTarget(name: name, dependencies: dependencies, swiftSettings: swift)
}

let package = Package(
    name: "headway",
    platforms: [.macOS(.v15)],
    dependencies: [
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
        .package(url: "https://github.com/groue/GRDB.swift", from: "7.10.0"),
        .package(url: "https://github.com/jpsim/Yams", from: "6.2.2"),
    ],
    targets: [
        // Level 0: the outside world, and what identifies a run.
        .systemLibrary(name: "COpenBLAS", pkgConfig: "openblas", providers: [.apt(["libopenblas-dev"])]),
        .systemLibrary(name: "CCrypto", pkgConfig: "libcrypto", providers: [.apt(["libssl-dev"])]),
        .target(name: "CSystem", cSettings: c),
        module("RunSpec", ["CCrypto", .product(name: "Yams", package: "Yams")]),
        // Level 1
        module("Kernels", ["COpenBLAS", "CSystem", "RunSpec"]),
        module("Ledger", ["CSystem", "RunSpec", .product(name: "GRDB", package: "GRDB.swift")]),
        // Level 2
        module("Model", ["Kernels", "RunSpec"]),
        module("Corpus", ["RunSpec"]),
        module("Collectives", ["CSystem", "Kernels", "RunSpec"] + (hasGloo ? ["CGloo"] : []), gloo),
        module("Checkpointing", ["CSystem", "RunSpec"]),
        module("Coordination", ["CSystem", "RunSpec"]),
        // Level 3
        module("HuggingFace", ["Model", "Corpus", "Checkpointing", "Kernels", "RunSpec"]),
        module("Training", ["Model", "Corpus", "Collectives", "Checkpointing", "Coordination", "Ledger"]),
        module("Reports", ["Ledger", "RunSpec"]),
        module("Lab", ["Coordination", "CSystem", "Ledger", "Model", "Reports", "RunSpec", .product(name: "Yams", package: "Yams")]),
        // Level 4
        .executableTarget(
            name: "headway",
            dependencies: ["Training", "HuggingFace", "Reports", "Lab", "Kernels", "CSystem", .product(name: "ArgumentParser", package: "swift-argument-parser")],
            swiftSettings: swift),
        // Tests. Numeric loops are a hundred times slower in a debug build: `swift test -c release`, with
        // `--disable-testable-imports` so that nothing is compiled twice.
        tests("RunSpecTests", ["RunSpec"]),
        tests("KernelsTests", ["Kernels", "RunSpec"]),
        tests("LedgerTests", ["Ledger", "RunSpec"]),
        tests("ModelTests", ["Model", "Kernels", "RunSpec", "CSystem"]),
        tests("CorpusTests", ["Corpus", "RunSpec"]),
        tests("CollectivesTests", ["Collectives", "Kernels", "RunSpec"]),
        tests("CheckpointingTests", ["Checkpointing", "RunSpec", "CSystem"]),
        tests("CoordinationTests", ["Coordination", "RunSpec"]),
        tests("HuggingFaceTests", ["HuggingFace", "Model", "Checkpointing", "Corpus", "RunSpec"]),
        tests("TrainingTests", ["Training", "Collectives", "Ledger", "RunSpec"]),
        tests("ReportsTests", ["Reports", "Ledger", "RunSpec"]),
        tests("LabTests", ["Lab", "Ledger", "Model", "RunSpec"]),
        tests("HeadwayTests", ["headway", "Training", "HuggingFace", "Collectives", "Model", "Corpus", "Ledger", "RunSpec", "CSystem", .product(name: "GRDB", package: "GRDB.swift")]),
    ] + (hasGloo ? [.target(name: "CGloo", linkerSettings: [.linkedLibrary("gloo")])] : []),
    cxxLanguageStandard: .cxx17
)
