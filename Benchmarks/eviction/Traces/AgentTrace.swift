// Agents: programs that call tools in a loop, in bursts, with branches and retries.
//
// - 12 kinds of agent, chosen like Zipf (exponent 1); each begins with its tools and rules, 3,000 to 16,000 tokens,
//   median 7,000. 25 projects add what the agent is told of the project (median 1,200 tokens), chosen like Zipf per
//   task.
// - 200 tasks in one hour. A task starts 1 to 6 workers at about the same time (half of the tasks one), which share
//   kind, project and the task's text (median 600 tokens).
// - A worker takes 12 steps in the mean (geometric). A step's answer has 120 tokens in the median, the tool's result
//   500 (spread 1.2, at most 8,000). The next step comes 10 seconds later in the median (spread 1); one in twenty
//   waits for a person, 15 minutes in the mean.
// - One step in fifteen is tried again with the same prompt; one in twenty goes back to an earlier step and branches.
// - At 40,000 tokens a worker starts again behind its project with a summary of 2,000 tokens.

enum AgentTrace {
    static let hours = 1.0
    static let tasksPerHour = 200.0
    static let limit = 40_000

    static func make(seed: UInt64) -> Trace {
        var random = RandomStream(seed: seed)
        var trace = Trace(costs: [.large, .small])
        let kinds = (0..<12).map { number in
            var prompt = Sequence(model: number % 4 == 3 ? 1 : 0)
            prompt.append(random.tokens(median: 7000, spread: 0.5, in: 3000...16_000), to: &trace)
            return prompt
        }
        let kindPopularity = Zipf(count: kinds.count, exponent: 1)
        let projectPopularity = Zipf(count: 25, exponent: 1)
        var projects: [Int: Sequence] = [:]
        var time = 0.0
        while time < hours * 3600 {
            time += random.exponential(mean: 3600 / tasksPerHour)
            let kind = kindPopularity.draw(&random)
            let name = kind * 25 + projectPopularity.draw(&random)
            var project = projects[name] ?? kinds[kind]
            if projects[name] == nil {
                project.append(random.tokens(median: 1200, spread: 0.7, in: 200...6000), to: &trace)
                projects[name] = project
            }
            var task = project
            task.append(random.tokens(median: 600, spread: 0.8, in: 50...4000), to: &trace)
            let workers = random.chance(0.5) ? 1 : random.integer(2...6)
            for worker in 0..<workers {
                let start = time + Double(worker) * random.exponential(mean: 3)
                work(on: task, of: project, from: start, &random, &trace)
            }
        }
        trace.finish(hours: hours)
        return trace
    }

    private static func work(
        on task: Sequence, of project: Sequence, from start: Double, _ random: inout RandomStream, _ trace: inout Trace
    ) {
        var now = task
        now.append(random.tokens(median: 150, spread: 0.6, in: 20...1000), to: &trace)
        var earlier: [Sequence] = []
        var time = start
        repeat {
            earlier.append(now)
            if random.chance(1 / 15) {
                var failed = now
                failed.ask(at: time, answer: answer(&random), in: &trace)
                time += 2 + random.exponential(mean: 10)
            }
            now.ask(at: time, answer: answer(&random), in: &trace)
            now.append(random.tokens(median: 500, spread: 1.2, in: 20...8000), to: &trace)
            time += random.chance(0.05) ? random.exponential(mean: 900) : 1 + random.logNormal(median: 9, spread: 1)
            if random.chance(0.05) {
                now = earlier[random.integer(0...earlier.count - 1)]
                now.append(random.tokens(median: 200, spread: 0.8, in: 20...2000), to: &trace)
            }
            if now.tokens > limit {
                now = project
                now.append(2000, to: &trace)
                earlier = []
            }
        } while random.chance(11.0 / 12)
    }

    private static func answer(_ random: inout RandomStream) -> Int {
        random.tokens(median: 120, spread: 0.9, in: 10...2000)
    }
}
