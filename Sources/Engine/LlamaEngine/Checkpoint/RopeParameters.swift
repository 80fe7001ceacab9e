// Rotary position encoding as the configuration describes it.

/// How positions are turned into rotations of query and key.
public struct RopeParameters: Sendable, Equatable {
    /// How the base frequencies are changed to reach longer contexts.
    public enum Scaling: Sendable, Equatable {
        /// Frequencies as they are.
        case none
        /// Every frequency is divided by `factor`.
        case linear(factor: Float)
        /// Low frequencies are divided by `factor`, high ones kept, those between interpolated.
        case llama3(factor: Float, lowFrequencyFactor: Float, highFrequencyFactor: Float, originalMaxPositions: Int)
    }

    /// The base of the geometric row of wave lengths; 10,000 unless the checkpoint says otherwise.
    public let theta: Float
    /// The change to the base frequencies.
    public let scaling: Scaling

    /// Parameters as given; nothing is checked here.
    public init(theta: Float, scaling: Scaling = .none) {
        self.theta = theta
        self.scaling = scaling
    }
}
