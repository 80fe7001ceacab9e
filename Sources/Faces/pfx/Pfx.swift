// The program `pfx`: the root command and how it ends.
//
// Exit statuses, the same for every command (docs/operations.md explains each):
//
//      0  done
//      1  the command ran, but something was not found, or not everything could be done
//      2  `verify` found damage
//     64  the command line is wrong
//     65  the input is invalid: a prompt, a checkpoint, a tokenizer
//     66  a file or folder that was named does not exist
//     69  the store cannot be used: not a store, another version, permissions, open elsewhere in this process
//     70  a bug in this program; please report it
//     73  the disk or the quota is full, or output cannot be written
//     74  the system refused to read or write
//    130  SIGINT ended a run (143: SIGTERM); complete replies are written and the store is flushed
//    141  the output went to a pipe that was closed

internal import ArgumentParser

@main
struct Pfx: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Run models with a persistent prefix cache, and inspect it.",
        discussion: """
            A store is a folder that keeps the attention keys and values (KV) of prompts. Commands that look at a \
            store or work on it take its folder as their first argument, and can run while engines use the store. \
            Token ids and texts are shown only with --reveal. Give sizes as 512MiB or 20GiB.

            EXAMPLES:
              pfx batch --model llama --store kv --input prompts.jsonl --output replies.jsonl
              pfx info kv
              pfx tree kv
            """,
        version: "0.1.0",
        groupedSubcommands: [
            CommandGroup(name: "Running a model", subcommands: [Batch.self, Generate.self, Warm.self]),
            CommandGroup(
                name: "Looking at a store",
                subcommands: [Info.self, Spaces.self, List.self, Tree.self, Show.self, Verify.self]),
            CommandGroup(
                name: "Working on a store", subcommands: [Trim.self, Pin.self, Unpin.self, Rekey.self, Forget.self]),
            CommandGroup(name: "Beyond one host", subcommands: [Remote.self, Push.self, Pull.self]),
            CommandGroup(name: "Measuring", subcommands: [Bench.self]),
        ])

    /// Runs the command that the arguments name, and ends the process with its status.
    static func main() {
        StandardDescriptors.prepare()
        do {
            try refuseUnknownCommand()
            var command = try parseAsRoot()
            try command.run()
        } catch {
            ErrorReport.end(with: error)
        }
    }

    /// Reports a mistyped command. The parser itself would complain about the arguments after it.
    private static func refuseUnknownCommand() throws {
        let names = configuration.subcommands.map { $0._commandName } + ["help"]
        guard let name = CommandLine.arguments.dropFirst().first, !name.hasPrefix("-"), !names.contains(name) else {
            return
        }
        let close = names.min { Spelling.distance($0, name) < Spelling.distance($1, name) }
        let hint = close.map { Spelling.distance($0, name) <= 2 ? " Did you mean '\($0)'?" : "" } ?? ""
        throw ValidationError("There is no command '\(name)'.\(hint)")
    }
}
