//! The time zones that users choose from, by the numbers that the platform gives them.
//!
//! The rules of each zone are those of the public time zone database, built into the program.

use jiff::tz::TimeZone;
use model::Timestamp;

/// Number (`timezonecode`) and name in the public database.
const ZONES: [(i32, &str); 91] = [
    (0, "Etc/GMT+12"),
    (1, "Pacific/Apia"),
    (2, "Pacific/Honolulu"),
    (3, "America/Anchorage"),
    (4, "America/Los_Angeles"),
    (5, "America/Tijuana"),
    (6, "Etc/GMT+11"),
    (10, "America/Denver"),
    (12, "America/Chihuahua"),
    (13, "America/Chihuahua"),
    (15, "America/Phoenix"),
    (20, "America/Chicago"),
    (25, "America/Regina"),
    (29, "America/Mexico_City"),
    (30, "America/Mexico_City"),
    (33, "America/Guatemala"),
    (35, "America/New_York"),
    (40, "America/Indiana/Indianapolis"),
    (45, "America/Bogota"),
    (47, "America/Caracas"),
    (50, "America/Halifax"),
    (55, "America/La_Paz"),
    (56, "America/Santiago"),
    (58, "America/Cuiaba"),
    (59, "America/Asuncion"),
    (60, "America/St_Johns"),
    (65, "America/Sao_Paulo"),
    (69, "America/Argentina/Buenos_Aires"),
    (70, "America/Cayenne"),
    (73, "America/Nuuk"),
    (74, "America/Montevideo"),
    (75, "Etc/GMT+2"),
    (80, "Atlantic/Azores"),
    (83, "Atlantic/Cape_Verde"),
    (84, "Africa/Casablanca"),
    (85, "Europe/London"),
    (90, "Atlantic/Reykjavik"),
    (92, "Etc/UTC"),
    (95, "Europe/Budapest"),
    (100, "Europe/Warsaw"),
    (105, "Europe/Paris"),
    (110, "Europe/Berlin"),
    (113, "Africa/Lagos"),
    (115, "Europe/Chisinau"),
    (120, "Africa/Cairo"),
    (125, "Europe/Kyiv"),
    (129, "Asia/Amman"),
    (130, "Europe/Bucharest"),
    (131, "Asia/Beirut"),
    (134, "Europe/Istanbul"),
    (135, "Asia/Jerusalem"),
    (140, "Africa/Johannesburg"),
    (141, "Africa/Windhoek"),
    (145, "Europe/Moscow"),
    (150, "Asia/Riyadh"),
    (155, "Africa/Nairobi"),
    (158, "Asia/Baghdad"),
    (160, "Asia/Tehran"),
    (165, "Asia/Dubai"),
    (169, "Asia/Baku"),
    (170, "Asia/Yerevan"),
    (175, "Asia/Kabul"),
    (180, "Asia/Yekaterinburg"),
    (185, "Asia/Tashkent"),
    (190, "Asia/Kolkata"),
    (193, "Asia/Kathmandu"),
    (195, "Asia/Almaty"),
    (200, "Asia/Colombo"),
    (201, "Asia/Novosibirsk"),
    (203, "Asia/Yangon"),
    (205, "Asia/Bangkok"),
    (207, "Asia/Krasnoyarsk"),
    (210, "Asia/Shanghai"),
    (215, "Asia/Singapore"),
    (220, "Asia/Taipei"),
    (225, "Australia/Perth"),
    (227, "Asia/Irkutsk"),
    (230, "Asia/Seoul"),
    (235, "Asia/Tokyo"),
    (240, "Asia/Yakutsk"),
    (245, "Australia/Darwin"),
    (250, "Australia/Adelaide"),
    (255, "Australia/Sydney"),
    (260, "Australia/Brisbane"),
    (265, "Australia/Hobart"),
    (270, "Asia/Vladivostok"),
    (275, "Pacific/Port_Moresby"),
    (280, "Pacific/Guadalcanal"),
    (285, "Pacific/Fiji"),
    (290, "Pacific/Auckland"),
    (300, "Pacific/Tongatapu"),
];

/// The zone with this number; none when it is not known.
pub fn zone_of_code(code: i32) -> Option<TimeZone> {
    let place = ZONES.binary_search_by_key(&code, |(known, _)| *known).ok()?;
    let (_, name) = ZONES.get(place)?;
    TimeZone::get(name).ok()
}

/// How many minutes the clock of a zone is behind UTC without summer time, in the year around an instant.
pub fn bias_minutes(zone: &TimeZone, now: Timestamp) -> i32 {
    const HALF_A_YEAR: i64 = 182 * 86_400;
    let at = |second: i64| {
        let at = jiff::Timestamp::from_second(second).unwrap_or(jiff::Timestamp::UNIX_EPOCH);
        -zone.to_offset(at).seconds() / 60
    };
    at(now.0).max(at(now.0 - HALF_A_YEAR))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_number_has_a_zone_and_they_ascend() {
        assert!(ZONES.is_sorted_by(|(one, _), (other, _)| one < other));
        for (code, name) in ZONES {
            assert!(zone_of_code(code).is_some(), "{code} {name}");
        }
        assert_eq!(zone_of_code(92), Some(TimeZone::get("Etc/UTC").expect("UTC")));
        assert_eq!(zone_of_code(93), None);
    }

    #[test]
    fn the_bias_is_that_of_winter() {
        for (code, bias) in [(92, 0), (110, -60), (35, 300), (60, 210), (255, -600)] {
            let zone = zone_of_code(code).expect("a zone");
            for now in ["2024-01-15T00:00:00Z", "2024-07-15T00:00:00Z"] {
                let now = Timestamp::parse(now).expect("an instant");
                assert_eq!(bias_minutes(&zone, now), bias, "{code} {now:?}");
            }
        }
    }
}
