// Rotary position encoding as the configuration describes it.

/// How positions are turned into rotations of query and key.
public struct RopeParameters: Sendable, Equatable {
    /// How the base frequencies are changed to reach longer contexts.
    public enum Scaling: Sendable, Equatable {
        /// The frequencies do not change.
        case none
        /// Every frequency is divided by `factor`.
        case linear(factor: Float)
        /// Low frequencies are divided by `factor`, high ones are kept, and those in between are interpolated.
        case llama3(factor: Float, lowFrequencyFactor: Float, highFrequencyFactor: Float, originalMaxPositions: Int)
    }

    /// The base of the geometric series of wavelengths; 10,000 unless the checkpoint says otherwise.
    public let theta: Float
    /// The change to the base frequencies.
    public let scaling: Scaling

    /// Makes parameters without checking them.
    public init(theta: Float, scaling: Scaling = .none) {
        self.theta = theta
        self.scaling = scaling
    }
}
