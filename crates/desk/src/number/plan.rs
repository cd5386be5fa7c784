//! The numbering plans of the world: the one file that knows the library with libphonenumber's tables.

use rlibphonenumber::{PHONE_NUMBER_UTIL, PhoneNumber, PhoneNumberFormat, PhoneNumberType, Region};

use crate::number::NumberKind;
use crate::number::spelling::Spelling;

/// A country with a numbering plan, or all of them together for a network of the whole world.
pub(super) type Country = Region;

/// The country of an ISO 3166-1 alpha-2 code, in any case.
pub(super) fn country(code: &str) -> Option<Country> {
    let country = Region::from_code(code).ok().filter(|country| *country != Region::World)?;
    PHONE_NUMBER_UTIL.get_country_code_for_region(country).map(|_| country)
}

/// The calling code of a network of the whole world, such as 870: satellites, international services.
pub(super) fn network(calling_code: &str) -> Option<i32> {
    PHONE_NUMBER_UTIL.get_supported_global_network_calling_codes().find(|known| known.to_string() == calling_code)
}

/// A number with a calling code, not always one that exists.
pub(super) struct Parsed(PhoneNumber);

impl Parsed {
    /// Reads a spelling; one without a plus as people in this country write. `None` also where a zero in brackets leaves
    /// open which of two numbers is meant: +39 (0)312… is a line in Italy with it, a mobile without.
    pub(super) fn read(spelling: &Spelling, home: Country) -> Option<Self> {
        let with = Self::read_plain(spelling, home);
        let Some(without) = spelling.without_bracketed_zero() else { return with };
        let without = Self::read_plain(&without, home).filter(Self::is_valid);
        match (with.filter(Self::is_valid), without) {
            (Some(with), Some(without)) => (with.e164() == without.e164()).then_some(with),
            (with, without) => with.or(without),
        }
    }

    fn read_plain(spelling: &Spelling, home: Country) -> Option<Self> {
        if spelling.plus {
            return Self::international(&spelling.digits);
        }
        let national = PHONE_NUMBER_UTIL.parse(&spelling.digits, Some(home)).ok().map(Self);
        if national.as_ref().is_some_and(Self::is_valid) {
            return national;
        }
        // Each country has its prefix for abroad, and the tables know it; but 00 is understood in all of them.
        let abroad = spelling.digits.strip_prefix("00").and_then(Self::international);
        abroad.filter(Self::is_valid).or(national)
    }

    /// Reads digits that begin with a calling code.
    pub(super) fn international(digits: &str) -> Option<Self> {
        PHONE_NUMBER_UTIL.parse(format!("+{digits}"), None).ok().map(Self)
    }

    /// Whether its numbering plan has it.
    pub(super) fn is_valid(&self) -> bool {
        PHONE_NUMBER_UTIL.is_valid_number(&self.0)
    }

    /// A plus and digits.
    pub(super) fn e164(&self) -> String {
        PHONE_NUMBER_UTIL.format(&self.0, PhoneNumberFormat::E164).into_owned()
    }

    pub(super) fn international_format(&self) -> String {
        PHONE_NUMBER_UTIL.format(&self.0, PhoneNumberFormat::International).into_owned()
    }

    pub(super) fn national_format(&self) -> String {
        PHONE_NUMBER_UTIL.format(&self.0, PhoneNumberFormat::National).into_owned()
    }

    /// The first country, of those that share the calling code, that has it.
    pub(super) fn country(&self) -> Option<Country> {
        PHONE_NUMBER_UTIL.get_region_for_number(&self.0)
    }

    /// The calling code, if a network of the whole world has it.
    pub(super) fn network(&self) -> Option<i32> {
        (self.country() == Some(Region::World)).then_some(self.0.country_code)
    }

    /// Whether the plan of this country has it. Åland's mobile numbers are Finland's too: `country` says Finland.
    pub(super) fn is_of(&self, country: Country) -> bool {
        // the library's own comparison leaves the calling code out
        PHONE_NUMBER_UTIL.get_country_code_for_region(country) == Some(self.0.country_code)
            && PHONE_NUMBER_UTIL.is_valid_number_for_region(&self.0, country)
    }

    pub(super) fn kind(&self) -> NumberKind {
        match PHONE_NUMBER_UTIL.get_number_type(&self.0) {
            PhoneNumberType::FixedLine => NumberKind::Fixed,
            PhoneNumberType::Mobile => NumberKind::Mobile,
            PhoneNumberType::FixedLineOrMobile => NumberKind::FixedOrMobile,
            PhoneNumberType::TollFree => NumberKind::TollFree,
            PhoneNumberType::PremiumRate => NumberKind::Premium,
            PhoneNumberType::SharedCost => NumberKind::SharedCost,
            PhoneNumberType::VoIP => NumberKind::Voip,
            PhoneNumberType::PersonalNumber => NumberKind::Personal,
            PhoneNumberType::Pager => NumberKind::Pager,
            PhoneNumberType::UAN => NumberKind::Uan,
            PhoneNumberType::VoiceMail => NumberKind::Voicemail,
            PhoneNumberType::Unknown => NumberKind::Unknown,
        }
    }
}
