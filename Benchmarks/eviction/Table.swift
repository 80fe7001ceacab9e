// The studies as a table for people.

/// `value` with three decimals.
func decimals(_ value: Double) -> String {
    let thousandths = Int((value * 1000).rounded())
    return "\(thousandths / 1000)." + String(String(1000 + thousandths % 1000).dropFirst())
}

private func padded(_ text: String, to width: Int) -> String {
    text + String(repeating: " ", count: max(0, width - text.count))
}

/// A quota as people write it.
func percent(_ quota: Double) -> String {
    quota == quota.rounded() ? "\(Int(quota)) %" : "\(quota) %"
}

extension Study {
    /// A Markdown table: for each quota the share saved, and in brackets its ratio to LRU and to the offline optimum.
    func table(quotas: [Double]) -> String {
        var lines = [
            "### \(trace): \(requests) requests, \(pages) pages, \(footprint / 1_000_000_000) GB, "
                + "\(decimals(unbounded)) saved without a quota", "",
        ]
        let columns = [padded("policy", to: 22)] + quotas.map { padded(percent($0), to: 21) }
        lines.append("| " + columns.joined(separator: " | ") + " |")
        lines.append("|" + columns.map { _ in " --- |" }.joined())
        for policy in policies {
            let values = quotas.map { quota in
                guard let cell = cell(policy, at: quota) else { return padded("", to: 21) }
                return "\(decimals(cell.saved)) (\(decimals(cell.overLRU)), \(decimals(cell.overOptimum)))"
            }
            lines.append("| " + ([padded(policy.rawValue, to: 22)] + values).joined(separator: " | ") + " |")
        }
        let limits = bounds.map { "\(decimals($0[0])) (\(decimals($0[1])), \(decimals($0[2])))" }
        lines.append("| " + ([padded("bound", to: 22)] + limits).joined(separator: " | ") + " |")
        return lines.joined(separator: "\n") + "\n"
    }

    /// The policies that were run.
    private var policies: [PolicyName] { PolicyName.allCases.filter { name in cells.contains { $0.policy == name } } }

    /// A Markdown table of what the shares are shares of.
    func amounts(quotas: [Double]) -> String {
        var lines = [
            "| quota | policy | hit rate | million tokens saved | seconds saved | of LRU | TB written |",
            "| --- | --- | ---: | ---: | ---: | ---: | ---: |",
        ]
        for quota in quotas {
            for cell in policies.compactMap({ cell($0, at: quota) }) {
                let values = [
                    decimals(cell.hitRate), decimals(Double(cell.savedTokens) / 1e6), "\(Int(cell.savedSeconds))",
                    decimals(cell.overLRU), decimals(Double(cell.writtenBytes) / 1e12),
                ]
                lines.append("| " + ([percent(quota), cell.policy.rawValue] + values).joined(separator: " | ") + " |")
            }
        }
        return lines.joined(separator: "\n") + "\n"
    }
}

/// How many of the studies reach what issue 3 asks for.
func verdict(_ studies: [Study], quotas: [Double]) -> String {
    let gains = studies.compactMap { $0.cell(.store, at: 5) }
    let nearness = studies.compactMap { $0.cell(.store, at: 20) }
    return """
        saved seconds at 5 % at least 1.15 times LRU's: \(gains.count { $0.overLRU >= 1.15 }) of \(gains.count) \
        (the offline optimum itself: \(studies.compactMap { $0.cell(.optimum, at: 5) }.count { $0.overLRU >= 1.15 }); \
        the bound: \(studies.compactMap { $0.bound(at: 5, quotas) }.count { $0 >= 1.15 }))
        saved seconds at 20 % at least 0.9 of the offline optimum's: \(nearness.count { $0.overOptimum >= 0.9 }) of \
        \(nearness.count)
        """
}
