// `pfx remote check`: whether a remote is ready.

internal import ArgumentParser
internal import Foundation
internal import PrefixStore

/// `pfx remote <command>`.
struct Remote: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Look at a remote.", subcommands: [Check.self])

    /// `pfx remote check <url>`.
    struct Check: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Try everything that a store does with a remote, and say what to change.",
            discussion: """
                Reaches the servers, asks 100 questions, puts and fetches 8 values of 1 MiB, which are gone after ten \
                seconds. The password of Redis comes from REDISCLI_AUTH, or from the file that password_file in the \
                URL names; credentials of S3 come from AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or from \
                ~/.aws/credentials. Several remotes with white space between them are checked one after the other. The \
                exit status is 69 when one cannot be read.

                EXAMPLES:
                  pfx remote check redis://cache:6379
                  pfx remote check 's3://bucket/kv?endpoint=https://store:9000'
                  pfx remote check 'rediss://store@cache:6380?ca=ca.pem' --json | jq .advice
                """)

        @Argument(help: "The remote, such as redis://host:6379 or s3://bucket/prefix.")
        var url: String

        @Flag(help: "Print one JSON object.")
        var json = false

        func run() throws {
            let checks = try RemoteReport.all(checking: RemoteOptions(named: url))
            // One alone that cannot be reached is the whole story.
            if checks.count == 1, case .failure(let error) = checks[0].found { throw error }
            let answers = checks.map { Answer(url: $0.url, found: $0.found) }
            if json {
                try Output.write(answers.count == 1 ? JSONOutput.text(answers[0]) : JSONOutput.text(answers))
            } else {
                try Output.write(answers.map(\.text).joined(separator: "\n"))
            }
            if !answers.allSatisfy(\.isReadable) { throw ExitStatus.unusableStore.code }
        }

        /// What is said of one remote.
        private struct Answer: Encodable {
            let url: String
            let found: Result<RemoteReport, StoreError>

            enum CodingKeys: CodingKey { case url, error, remedy }

            var isReadable: Bool { (try? found.get().isReadable) ?? false }

            func encode(to encoder: any Encoder) throws {
                switch found {
                case .success(let report): try report.encode(to: encoder)
                case .failure(let error):
                    var fields = encoder.container(keyedBy: CodingKeys.self)
                    try fields.encode(url, forKey: .url)
                    try fields.encode(error.description, forKey: .error)
                    try fields.encode(error.remedy, forKey: .remedy)
                }
            }

            var text: String {
                switch found {
                case .success(let report): return Check.text(report)
                case .failure(let error):
                    var table = TextTable(("", .left), ("", .left))
                    table.add("remote", url)
                    table.add("error", error.description)
                    table.add("advice", error.remedy)
                    return table.text
                }
            }
        }

        private static func text(_ report: RemoteReport) -> String {
            var table = TextTable(("", .left), ("", .left))
            table.add("remote", report.url)
            if let version = report.version { table.add("server", version) }
            if report.primaries > 0 {
                let primaries = report.primaries == 1 ? "1 primary" : "\(report.primaries) primaries"
                table.add("servers", "\(primaries), \(Render.count(report.replicas, "replica"))")
            }
            for server in report.servers {
                table.add("", "\(server.address): \(server.fault.map { "down, \($0)" } ?? "up")")
            }
            table.add("rights", rights(report))
            let missing = report.rights.filter { !$0.isGranted }
            if !missing.isEmpty {
                table.add(
                    "missing", missing.map { "\($0.name) (\($0.use)): \($0.refusal ?? "")" }.joined(separator: "; "))
            }
            if report.isReadable {
                table.add(
                    "questions",
                    String(
                        format: "%.2f ms median, %.2f ms at most", 1e3 * report.questionSeconds,
                        1e3 * report.longestQuestionSeconds))
            }
            if report.isWritable, report.isReadable {
                table.add(
                    "1 MiB values",
                    "\(ByteCount(UInt64(report.putRate)))/s put, \(ByteCount(UInt64(report.fetchRate)))/s fetched")
            }
            if let limit = report.memoryLimit {
                let policy = report.evictionPolicy ?? "unknown policy"
                table.add("memory", limit == 0 ? "no limit, \(policy)" : "\(ByteCount(limit)), \(policy)")
            }
            for (place, sentence) in report.advice.enumerated() { table.add(place == 0 ? "advice" : "", sentence) }
            if report.advice.isEmpty { table.add("advice", "none: it is ready") }
            return table.text
        }

        private static func rights(_ report: RemoteReport) -> String {
            guard report.isReadable else { return "reads nothing" }
            return report.isWritable ? "reads and writes" : report.isFull ? "reads; it is full" : "reads only"
        }
    }
}
