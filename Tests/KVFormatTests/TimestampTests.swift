// Moments: their arithmetic and how they are written.

import Foundation
import KVFormat
import Testing

@Suite("A moment")
struct TimestampTests {
    @Test("is written as ISO 8601 has it, on every day of eight hundred years and before the epoch")
    func text() {
        for day in stride(from: -200 * 365, through: 600 * 365, by: 1) {
            let seconds = Int64(day) * 86_400 + Int64(abs(day) % 86_400)
            let expected = Date(timeIntervalSince1970: Double(seconds)).formatted(.iso8601)
            guard Timestamp(milliseconds: 1000 * seconds + 999).description == expected else {
                Issue.record("\(expected): \(Timestamp(milliseconds: 1000 * seconds))")
                return
            }
        }
        #expect(Timestamp(milliseconds: -1).description == "1969-12-31T23:59:59Z")
    }

    @Test("moves by durations, to the millisecond")
    func sum() {
        let start = Timestamp(milliseconds: 1_000)
        #expect((start + .seconds(2)).milliseconds == 3_000)
        #expect((start + .milliseconds(-1)).milliseconds == 999)
        #expect(start + .microseconds(999) == start)
        #expect(start < start + .milliseconds(1))
    }

    @Test("ends at the last moment there is, and can be written there too")
    func ends() {
        let start = Timestamp(milliseconds: 1_000)
        for long in [Duration.seconds(Int64.max), .seconds(Int64.max / 1000)] {
            #expect((start + long).milliseconds == .max)
            #expect((Timestamp(milliseconds: -1_000) + (.zero - long)).milliseconds == .min)
        }
        for edge in [Int64.min, .min + 1, .max] { #expect(Timestamp(milliseconds: edge).description.hasSuffix("Z")) }
        #expect(Timestamp(milliseconds: -999).description == Timestamp(milliseconds: -1).description)
    }
}
