internal import ArgumentParser

@main
struct Pfx: ParsableCommand {
    static let configuration = CommandConfiguration(abstract: "Work with a PrefixStore.")
}
