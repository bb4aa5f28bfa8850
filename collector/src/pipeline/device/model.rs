//! Classes of Android devices by the names of their models: most apps, and the browsers of boxes and cheap tablets, say
//! `Mobile` or nothing whatever they run on.
//!
//! A name is a maker's whim; what is here are the habits of many makers at once, such as the size of the screen in
//! front of a television's number, and a few that sell much. Measured by `benches/accuracy.rs`.

use std::sync::LazyLock;

use regex::RegexSet;
use sotto_schema::event::Device;

/// The class of an Android device whose user agent otherwise tells `told`, if its model's name knows better.
pub(super) fn class(ua: &str, told: Device) -> Option<Device> {
    let model = of(ua)?;
    let known = [
        (&*DESKTOP, Device::Desktop),
        (&*CAR, Device::Car),
        (&*WEARABLE, Device::Wearable),
        (&*TV, Device::Tv),
    ];
    let found = known.into_iter().find(|(names, _)| names.is_match(model)).map(|(_, class)| class);
    found
        .or_else(|| (told == Device::Mobile && TABLET.is_match(model)).then_some(Device::Tablet))
        .or_else(|| (told == Device::Tablet && PHONE.is_match(model)).then_some(Device::Mobile))
}

/// The name of the model: what follows the system's version and perhaps a language in the first parentheses.
fn of(ua: &str) -> Option<&str> {
    let (_, rest) =
        ua.split_once("Android").or_else(|| ua.split_once("HarmonyOS")).or_else(|| ua.split_once("Adr "))?;
    let rest = rest.split(')').next()?;
    let rest = rest.split_once(" AppleWebKit").map_or(rest, |(before, _)| before);
    let mut fields = rest.split(';').skip(1).map(str::trim).skip_while(|field| is_language(field));
    let name = fields.next()?;
    let name = name.split_once(" Build").map_or(name, |(before, _)| before);
    (name.len() > 1).then_some(name)
}

/// `de`, `de-DE`, `de_DE`.
fn is_language(field: &str) -> bool {
    let is_part = |part: &str| part.len() == 2 && part.bytes().all(|byte| byte.is_ascii_alphabetic());
    let mut parts = field.splitn(2, ['-', '_']);
    parts.next().is_some_and(|part| is_part(part) && part.bytes().all(|b| b.is_ascii_lowercase()))
        && parts.next().is_none_or(is_part)
}

#[expect(clippy::expect_used, reason = "the lists are constant and built by every test of this module")]
fn names(patterns: &[&str]) -> RegexSet {
    RegexSet::new(patterns).expect("list of patterns")
}

/// Android on the hardware of a desktop or laptop computer.
static DESKTOP: LazyLock<RegexSet> = LazyLock::new(|| {
    names(&[
        r"Chromebook|Latitude|Inspiron|EliteBook|ProBook|OptiPlex|TravelMate|Vostro|^NUC\d|All-in-One| AIO\b",
        r"(?i)^satellite |^Aspire \w*-?\d|Compaq \d{4}",
    ])
});

/// Radios of cars, which are called by what is in them.
static CAR: LazyLock<RegexSet> = LazyLock::new(|| {
    names(&[
        r"(?i)^(?:quad|octa)-?core (?:T\d|R\d|PX)|ultraocta",
        r"\bBYD\b|^YT\d{4}[A-Z]|^MPC-\d|DiLink|^8227L|^DUDU\d",
    ])
});

/// Watches, glasses and headsets.
static WEARABLE: LazyLock<RegexSet> = LazyLock::new(|| {
    names(&[
        r"Watch|\bSM-R\d",
        r"^Quest(?: \d| Pro| 3S)?$|^Pico (?:Neo|G\d|A\d|4)|^VR-|^Mobile VR$",
        r"^OW\d\dW\d|^LEM1\d|^LEO-[BD]",
    ])
});

/// Television sets, boxes and sticks.
#[rustfmt::skip]
static TV: LazyLock<RegexSet> = LazyLock::new(|| {
    names(&[
        // The screen's size in inches, and what it is made of: `32LEA73T2SM`, `H43F8000Q`, `SM-LED32M14S`.
        r"LED[_ -]?[A-Z]?\d\d|[OQ]LED|UHD|\b8K\b|^LCD_",
        r"(?:^|[ _-])(?:19|22|24|28|32|39|40|42|43|48|49|50|55|58|60|65|70|75|77|85)[A-Z]{1,4}[-_/]?\d",
        r"^(?:24|28|32|39|40|42|43|48|49|50|55|58|60|65|70|75|77|85)[A-Z]{2}-|-(?:24|32|39|40|42|43|49|50|55|65)[A-Z]{4}$",
        r"(?:^|[ _-])(?:19|22|24|28|32|39|40|42|43|48|49|50|55|58|60|65|70|75|77|85)(?:LE|HK|ST|GUS|UC|DHS|GHS|FSY|KUS|OV|UE)",
        r"^(?:[A-LN-Z]|[A-LN-Z][A-Z]|[A-Z]{3})-?(?:24|28|32|39|40|42|43|48|49|50|55|58|60|65|70|75|77|85)[A-Z]{1,5}\d{3}",
        r"^[A-Z]{1,3}(?:24|28|32|39|40|42|43|48|49|50|55|58|60|65|70|75|77|85)[A-Z]{3,5}\d",
        r"[_ -][A-Z]{1,3}(?:24|28|32|39|40|42|43|48|49|50|55|58|60|65|70|75|77|85)[A-Z]{1,5}\d\d",
        // Tuners: DVB-T2, C, S.
        r"T2S?C?SM|TC-SM|TS2C|T2SU?(?:-\d)?$",
        r"(?:^|[^A-Za-z])(?:U?HD|[468]K)?TV(?:[-_. ][B-Z]|\.|$)|\dTV$|^[NP]TV[-_\d]|^[HS]TV[-_]|^SWTV|^GTV\d|(?:^|[^A-Za-z])ATV|[a-z]TV\b|\btv\b|^TDTV",
        r"(?i:smart ?4k)|[ _]4K|[^\d]4K[ _-][A-Z]|AS_?4K|_6K$|SMX4K",
        r"(?:^|[^o])(?:[Bb]ox|BOX)(?:[^A-Za-z]|$)|BOX_|(?i)[ _-]stick|streamer|set-?top|\bSTB|STB\b",
        // Makers and series of boxes.
        r"(?i)ugoos|zidoo|beelink|pendoo|vontar|transpeed|yundoo|vorke|nexbox|vinabox|skystream|nvidia.shield|iconbit.(?:movie|stick|xds)",
        r"(?i)ozone ?hd|polar(?:line)?_|selenga|^invin|fundroid|netbox|evpad|me-?cool|smotreshka|sunwell|^tivo |^openbox",
        r"A95X|^X88|^HK1|^NEO-[UX]\d|^GT-?King|^GTK(?:ing|ING)|^KM\d+ ?PRO|^VMP-|^VMP\d+\.|^NEXON|^AS5\d\d$|^YNDX-000[78]|MXQ|^M8S[ P]|^S900",
        r"Vega S95|^KI+ PRO|^IP-\d0 MAX|Perfeo_PF_A|^TPM1|^CT-8[79]|^SW-LED|^LT-\d\d[A-Z]|^MLT\d\d[A-Z]|^LE-?\d\d[A-Z]|^A5X MAX|Movix|^DV8\d|^ABX-|^Gazal_|^PIPO_X|^Netta |^NOGAPC|^NV\d{3}|^GT1-?mini|^GTX-R",
    ])
});

/// Tablets whose apps send `Mobile`.
#[rustfmt::skip]
static TABLET: LazyLock<RegexSet> = LazyLock::new(|| {
    names(&[
        // Most makers call them so: `Beeline Tab 2`, `MyPad 2`; `Table`, `NotePad` and `PadFone` mean something else.
        r"(?:^|[^e])(?:Pad|PAD|Tab|TAB)(?:[^A-Za-z]|$)|(?i)tablet|[Ss]lide(?:Pad|[ _]|\d{4})",
        // Huawei and Honor: with a wireless network only.
        r"-W[012]\d(?:$|[^\dA-Za-z])",
        r"(?:^|[^A-Z])MID[-_]?[\dC]|_7_3G|^7\w*_3G|MediaPad|^PMID|_ROW$|^T\d\d(?:[ES]|Plus|Mini|Ultra)?(?:-EEA)?$",
        // Prestigio, Lenovo, BQ, Nomi, Alldocube, Positivo, Allview and Mediacom, Digma, Teclast, Alcatel, Xiaomi.
        r"PMT\d|^PMP\d|^Lenovo PB-|^BQ(?:ru)?-(?:7|9|10)\d{2,3}|^BQ(?:ru)?-80[0-57-9]7|Nomi_C(?:07|08|09|10)|iPlay[ _]?\d|^i?PA2[45]\d\d$",
        r"^TZ\d{3}$|T[ZA]\d[DE]\d|[CHNPST][STR](?:7|8|9|10|11|12)\d{2,3}[MPRQA][GLWR]$|^(?:Plane|Optima|Sky|Platina)[ _]\d",
        r"^[PMTQ](?:20|25|26|30|40|45|50|60|80|85)(?:HD|S|T|H|_?Plus|Pro|_)(?:_|\(|$)|^(?:80|90|91|92|94)(?:[1-9]\d|0[^18])[A-Z]?(?:_|$)",
        r"^2\d[\dA-Z]{2,4}RP|^Numy|KOCASO|^(?:ARCHOS|Archos) (?:7|8|9|10)\d?(?:\D|$)|^TM-[789]|^RC07|^QS[09]7|^ETL-T|^BDF|^MBK-|^M75\d",
        r"(?i)cat ?nova|^walpad|^[Kk]obe\d|^Bach-|^OT\d+$|^Hope\d|Infinix X11|HTC Flyer|Surf ?Tab|Ginzzu.GT-|^hoco_HI1|^KT\d{3,4}|^WO \d|^NT-36",
    ])
});

/// Phones whose apps do not send `Mobile`.
#[rustfmt::skip]
static PHONE: LazyLock<RegexSet> = LazyLock::new(|| {
    names(&[
        r"^SM-[AGJMSCWEFH]\d|^SM-N[79]|^RMX\d|^V[12]\d{3}[A-Z]|^P[DEFGHJ][A-Z]{2}\d\d$|^M20[01]\d[JK]|^TECNO [A-CE-OQ-SU-Z]",
        r"^SH[VW]-[EM]\d|^ONEPLUS|Nexus [45]|^LGE? |-(?:AN|TN)\d\d|^IQ\d|[Pp]hone|^PadFone|^SAMSUNG-SM-[AJG]|^[Vv]ivo \d|-(?:N|L)[24]\d$|MIDP|^Slate 6|^HP Slate 6",
    ])
});

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn model_is_what_follows_the_version_and_the_language() {
        for (ua, model) in [
            ("Mozilla/5.0 (Linux; Android 9; TF-LED32S74T2S) AppleWebKit/537.36", Some("TF-LED32S74T2S")),
            ("Mozilla/5.0 (Linux; Android 9; Acme 1 Build/PPR2.18; wv) AppleWebKit", Some("Acme 1")),
            ("Mozilla/5.0 (Linux; U; Android 4.0.4; en-us ; MyPad 2 Build/IMM76D)", Some("MyPad 2")),
            ("Mozilla/5.0 (Linux; U; Android 4.0.4; de_DE; MyPad 2)", Some("MyPad 2")),
            ("UCWEB/2.0 (Linux; U; Adr 4.0.4; zh-CN; K-Touch E806) U2/1.0.0", Some("K-Touch E806")),
            ("Mozilla/5.0 Linux; Android 5.1; BQ-7022G AppleWebKit/537.36 KHTML", Some("BQ-7022G")),
            ("Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36", None),
            ("Mozilla/5.0 (Android 14; Mobile; rv:130.0) Gecko/130.0", Some("Mobile")),
            ("Mozilla/5.0 (Linux; Android 10)", None),
            ("Mozilla/5.0 (Windows NT 10.0; Win64; x64)", None),
            ("Android", None),
            ("", None),
        ] {
            assert_eq!(of(ua), model, "{ua}");
        }
    }

    #[test]
    fn name_of_a_model_tells_its_class_where_makers_have_a_habit() {
        for (model, told, class) in [
            ("32LEA73T2SM", Device::Tablet, Some(Device::Tv)),
            ("H43F8000Q", Device::Mobile, Some(Device::Tv)),
            ("Acme-LED50", Device::Mobile, Some(Device::Tv)),
            ("Acme Box 2", Device::Tablet, Some(Device::Tv)),
            ("RunboX6", Device::Mobile, None),
            ("HTV31", Device::Mobile, None),
            ("MyPad 2", Device::Mobile, Some(Device::Tablet)),
            ("MyPad 2", Device::Tablet, None),
            ("Acme NotePad", Device::Mobile, None),
            ("PadFone", Device::Mobile, None),
            ("Coolpad 7296", Device::Mobile, None),
            ("AGR-W09", Device::Mobile, Some(Device::Tablet)),
            ("CITI Z400 3G CT4024PG", Device::Mobile, None),
            ("Plane 8595 3G PS8212PG", Device::Mobile, Some(Device::Tablet)),
            ("SM-G998B", Device::Tablet, Some(Device::Mobile)),
            ("SM-N8000", Device::Tablet, None),
            ("Quest 3", Device::Mobile, Some(Device::Wearable)),
            ("Quest 506", Device::Mobile, None),
            ("Dell Latitude 7390", Device::Tablet, Some(Device::Desktop)),
            ("SOLO Aspire M", Device::Mobile, None),
            ("QUAD-CORE T3 p1", Device::Tablet, Some(Device::Car)),
            ("QUAD-CORE A33 y3", Device::Tablet, None),
            ("Pixel 9", Device::Mobile, None),
        ] {
            let ua =
                format!("Mozilla/5.0 (Linux; Android 12; {model}) AppleWebKit/537.36 (KHTML, like Gecko)");
            assert_eq!(super::class(&ua, told), class, "{model}");
        }
    }
}
