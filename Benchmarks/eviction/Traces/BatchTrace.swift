// Batch: jobs that run long documents through one prompt, next to people who use the same store meanwhile.
//
// - 4 jobs in one hour, one after the other. Each has a head (instructions and examples, 1,000 to 4,000 tokens) and
//   300 documents of 1,000 to 24,000 tokens, median 5,000, each asked once: a scan that fills its quarter of an hour
//   evenly, by tokens.
// - One document in ten is asked again within a minute or two, because its answer failed a check.
// - The second and the fourth job are further questions about the documents of the job before: document first,
//   question last, as one does where prefixes are stored. One document in four is in it; the rest needed no second
//   look.
// - Beside it: 30 services with prompts of 500 to 4,000 tokens, chosen like Zipf (exponent 1), a request every 2.5
//   seconds in the mean, with 200 tokens of its own: what a scan must not wash out.

enum BatchTrace {
    static let hours = 1.0

    static func make(seed: UInt64) -> Trace {
        var random = RandomStream(seed: seed)
        var trace = Trace(costs: [.large, .small])
        serve(&random, &trace)
        var documents: [Sequence] = []
        for job in 0..<4 {
            if job % 2 == 0 {
                var head = Sequence(model: 0)
                head.append(random.tokens(median: 2000, spread: 0.4, in: 1000...4000), to: &trace)
                documents = (0..<300).map { _ in
                    var document = head
                    document.append(random.tokens(median: 5000, spread: 0.7, in: 1000...24_000), to: &trace)
                    return document
                }
            } else {
                documents = documents.filter { _ in random.chance(0.25) }
            }
            scan(documents, from: Double(job) * 900, &random, &trace)
        }
        trace.finish(hours: hours)
        return trace
    }

    private static func scan(
        _ documents: [Sequence], from start: Double, _ random: inout RandomStream, _ trace: inout Trace
    ) {
        let total = documents.reduce(0) { $0 + $1.tokens }
        var done = 0
        for document in documents {
            let time = start + 850 * Double(done) / Double(max(total, 1)) + random.exponential(mean: 10)
            done += document.tokens
            var asked = document
            asked.append(random.integer(20...120), to: &trace)
            var again = asked
            asked.ask(at: time, answer: random.tokens(median: 150, spread: 0.6, in: 20...1000), in: &trace)
            guard random.chance(0.1) else { continue }
            let later = time + 15 + random.exponential(mean: 60)
            again.ask(at: later, answer: random.tokens(median: 150, spread: 0.6, in: 20...1000), in: &trace)
        }
    }

    private static func serve(_ random: inout RandomStream, _ trace: inout Trace) {
        let services = (0..<30).map { number in
            var prompt = Sequence(model: number % 2)
            prompt.append(random.tokens(median: 1500, spread: 0.6, in: 500...4000), to: &trace)
            return prompt
        }
        let popularity = Zipf(count: services.count, exponent: 1)
        var time = 0.0
        while time < hours * 3600 {
            time += random.exponential(mean: 2.5)
            var request = services[popularity.draw(&random)]
            request.append(random.tokens(median: 200, spread: 0.8, in: 10...2000), to: &trace)
            request.ask(at: time, answer: random.tokens(median: 100, spread: 0.8, in: 5...1000), in: &trace)
        }
    }
}
