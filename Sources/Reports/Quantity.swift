import Foundation

/// Numbers as people read them: the one place that decides on digits, separators and units. C locale throughout.
package enum Quantity {
    package static func decimal(_ value: Double, _ digits: Int) -> String {
        let text = String(format: "%.\(digits)f", value)
        return text.hasPrefix("-") && !text.contains { ("1"..."9").contains($0) } ? String(text.dropFirst()) : text
    }

    /// `1,234,567`.
    package static func grouped(_ value: Int) -> String {
        var digits = String(abs(value)), groups: [String] = []
        while digits.count > 3 {
            groups.insert(String(digits.suffix(3)), at: 0)
            digits = String(digits.dropLast(3))
        }
        return (value < 0 ? "-" : "") + ([digits] + groups).joined(separator: ",")
    }

    /// `12.3 M`, `4.1 k`: three or four significant digits.
    package static func short(_ value: Double) -> String {
        for (scale, unit) in [(1e12, " T"), (1e9, " G"), (1e6, " M"), (1e3, " k")] where abs(value) >= scale {
            let scaled = value / scale
            return decimal(scaled, scaled >= 100 ? 0 : 1) + unit
        }
        return decimal(value, value == value.rounded() ? 0 : 1)
    }

    package static func percent(_ share: Double) -> String { decimal(100 * share, 2) + " %" }

    /// `850 ms`, `12.4 s`, `3 min 12 s`, `2 h 05 min`.
    package static func duration(seconds: Double) -> String {
        guard seconds.isFinite, seconds < 1e9 else { return "–" }
        if abs(seconds) < 1 { return decimal(1000 * seconds, 0) + " ms" }
        if seconds < 60 { return decimal(seconds, 1) + " s" }
        let whole = Int(seconds.rounded())
        if whole < 3600 { return "\(whole / 60) min \(whole % 60) s" }
        return "\(whole / 3600) h \(String(format: "%02d", whole % 3600 / 60)) min"
    }

    /// `85 s`, `12 min`, `2.1 h`: what is left, as far as anybody can know.
    package static func roughly(seconds: Double) -> String {
        guard seconds.isFinite, seconds < 1e9 else { return "–" }
        if seconds < 99.5 { return decimal(seconds, 0) + " s" }
        return seconds < 5970 ? decimal(seconds / 60, 0) + " min" : decimal(seconds / 3600, 1) + " h"
    }

    /// Milliseconds, one decimal.
    static func milliseconds(_ nanoseconds: Int) -> String { decimal(Double(nanoseconds) / 1e6, 1) }

    package static func bytes(_ count: Int) -> String {
        for (scale, unit) in [(1e9, " GB"), (1e6, " MB"), (1e3, " kB")] where Double(count) >= scale {
            return decimal(Double(count) / scale, 1) + unit
        }
        return "\(count) bytes"
    }

    static func money(_ amount: Double, _ currency: String) -> String {
        decimal(amount, moneyDigits(amount)) + (currency.isEmpty ? "" : " " + currency)
    }

    /// Decimals that show three significant digits of `amount`, at least two: a laptop's fractions of a cent are seen.
    static func moneyDigits(_ amount: Double) -> Int {
        amount == 0 || abs(amount) >= 1 ? 2 : min(9, 2 - Int(log10(abs(amount)).rounded(.down)))
    }

    static func plural(_ count: Int, _ noun: String, _ many: String? = nil) -> String {
        grouped(count) + " " + (count == 1 ? noun : many ?? noun + "s")
    }
}

extension String {
    /// Filled up with spaces on the right; cut with `…` when too long.
    package func padded(_ width: Int) -> String {
        count > width ? String(prefix(max(0, width - 1))) + (width > 0 ? "…" : "") : self + String(repeating: " ", count: width - count)
    }

    /// Filled up with spaces on the left.
    package func aligned(_ width: Int) -> String { String(repeating: " ", count: Swift.max(0, width - count)) + self }

    package var withoutTrailingSpaces: String {
        var text = self
        while text.last == " " { text.removeLast() }
        return text
    }
}
