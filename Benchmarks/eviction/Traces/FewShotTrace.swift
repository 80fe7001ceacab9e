// Few-shot: programs that call a model with a few fixed prefixes (instructions and examples) for ever, amid one-off
// requests.
//
// - 60 prefixes of 500 to 8,000 tokens, median 2,500, chosen like Zipf (exponent 0.9), with a suffix of 120 tokens in
//   the median and an answer of 40. A third of them on the small model.
// - Four requests of ten are one-offs: a prompt of 200 to 16,000 tokens (median 2,000) that never comes again.
// - One hour; 5,000 arrivals per hour outside runs. Half of the prefixed requests come in runs of 2 to 12 of one
//   prefix, a second or two apart.
// - The fashion changes: every 450 seconds two of the 60 prefixes are edited, so that their pages are new from their
//   middle on.
// Recorded business traffic looks like this: 97 % of the hits come from single-turn requests of programs that share a
// prompt, four of five within 10 seconds (arXiv 2506.02634).

enum FewShotTrace {
    static let hours = 1.0
    static let requestsPerHour = 5000.0

    static func make(seed: UInt64) -> Trace {
        var random = RandomStream(seed: seed)
        var trace = Trace(costs: [.large, .small])
        var prefixes: [(half: Sequence, whole: Sequence)] = (0..<60).map { number in
            var half = Sequence(model: number % 3 == 2 ? 1 : 0)
            let tokens = random.tokens(median: 2500, spread: 0.7, in: 500...8000)
            half.append(tokens / 2, to: &trace)
            var whole = half
            whole.append(tokens - tokens / 2, to: &trace)
            return (half, whole)
        }
        let popularity = Zipf(count: prefixes.count, exponent: 0.9)
        var time = 0.0
        var nextEdit = 450.0
        while time < hours * 3600 {
            if time > nextEdit {
                nextEdit += 450
                for _ in 0..<2 { edit(&prefixes[random.integer(0...prefixes.count - 1)], &trace) }
            }
            guard !random.chance(0.4) else {
                time += random.exponential(mean: 3600 / requestsPerHour)
                var request = Sequence(model: random.chance(1 / 3) ? 1 : 0)
                request.append(random.tokens(median: 2000, spread: 0.9, in: 200...16_000), to: &trace)
                request.ask(at: time, answer: random.tokens(median: 200, spread: 0.8, in: 10...2000), in: &trace)
                continue
            }
            let prefix = prefixes[popularity.draw(&random)].whole
            let run = random.chance(1.0 / 7) ? random.integer(2...12) : 1
            for step in 0..<run {
                time += step == 0 ? random.exponential(mean: 3600 / requestsPerHour) : random.exponential(mean: 1.5)
                var request = prefix
                request.append(random.tokens(median: 120, spread: 0.7, in: 10...1500), to: &trace)
                request.ask(at: time, answer: random.tokens(median: 40, spread: 0.7, in: 2...500), in: &trace)
            }
        }
        trace.finish(hours: hours)
        return trace
    }

    private static func edit(_ prefix: inout (half: Sequence, whole: Sequence), _ trace: inout Trace) {
        let tokens = prefix.whole.tokens - prefix.half.tokens
        prefix.whole = prefix.half
        prefix.whole.append(tokens, to: &trace)
    }
}
