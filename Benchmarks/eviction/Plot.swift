// The studies as one SVG: a panel a trace, quota across, saved share up, a line a policy.

/// A picture of `studies`, complete in itself.
func plot(_ studies: [Study], quotas: [Double]) -> String {
    let (width, height) = (300.0, 220.0)
    let colors = ["#888888", "#4477aa", "#ccbb44", "#aa3377", "#ee6677", "#228833"]
    var parts: [String] = []
    for (number, study) in studies.enumerated() {
        let left = 50 + Double(number) * (width + 40)
        func point(_ place: Int, _ share: Double) -> String {
            let across = left + width * Double(place) / Double(max(quotas.count - 1, 1))
            return "\(decimals(across)),\(decimals(40 + height * (1 - share)))"
        }
        parts.append(#"<text x="\#(left)" y="28">\#(study.trace)</text>"#)
        parts.append(
            #"<rect x="\#(left)" y="40" width="\#(width)" height="\#(height)" fill="none" stroke="silver"/>"#)
        for (place, quota) in quotas.enumerated() {
            let across = left + width * Double(place) / Double(max(quotas.count - 1, 1))
            parts.append(#"<text x="\#(across)" y="\#(height + 58)" text-anchor="middle">\#(percent(quota))</text>"#)
        }
        for (color, policy) in zip(colors, PolicyName.simulated) {
            let points = quotas.enumerated().compactMap { place, quota in
                study.cell(policy, at: quota).map { point(place, $0.saved) }
            }.joined(separator: " ")
            parts.append(#"<polyline points="\#(points)" fill="none" stroke="\#(color)" stroke-width="2"/>"#)
        }
    }
    for (number, (color, policy)) in zip(colors, PolicyName.simulated).enumerated() {
        let left = 50 + Double(number) * 190
        parts.append(#"<text x="\#(left)" y="\#(height + 90)" fill="\#(color)">\#(policy.rawValue)</text>"#)
    }
    let total = max(Double(studies.count) * (width + 40) + 60, 1400)
    return """
        <svg xmlns="http://www.w3.org/2000/svg" width="\(total)" height="\(height + 110)" font-family="sans-serif" \
        font-size="13"><rect width="100%" height="100%" fill="white"/>
        \(parts.joined(separator: "\n"))
        </svg>

        """
}
