//! Names of classes of devices, screens and networks.

/// The stored classes of devices.
pub(crate) const DEVICES: [&str; 7] = ["desktop", "mobile", "tablet", "tv", "console", "wearable", "car"];

/// The name of a device class.
pub(crate) fn device(class: &str) -> Option<&'static str> {
    Some(match class {
        "desktop" => "Desktop",
        "mobile" => "Phone",
        "tablet" => "Tablet",
        "tv" => "Television",
        "console" => "Game console",
        "wearable" => "Wearable",
        "car" => "Car",
        _ => return None,
    })
}

/// The widths of a screen class.
pub(crate) fn screen(class: &str) -> Option<&'static str> {
    Some(match class {
        "xs" => "Under 576 px",
        "sm" => "576 – 767 px",
        "md" => "768 – 991 px",
        "lg" => "992 – 1439 px",
        "xl" => "1440 px and more",
        _ => return None,
    })
}

/// The stored kinds of networks.
pub(crate) const NETWORK_KINDS: [&str; 2] = ["consumer", "hosting"];

/// The name of a kind of network.
pub(crate) fn network_kind(kind: &str) -> Option<&'static str> {
    Some(match kind {
        "consumer" => "Homes and phones",
        "hosting" => "Data centres",
        _ => return None,
    })
}
