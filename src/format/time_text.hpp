// Times as text. Source: spec, formats §5.
#pragma once

#include "format/types.hpp"

#include <optional>
#include <string>
#include <string_view>

namespace polis::format {

/// `YYYY-MM-DDThh:mm:ssZ`; years are shown modulo 10000.
std::string timeText(TimePointSec time);
/// The same with exactly six fraction digits.
std::string timeText(TimePointUSec time);

/// `YYYY-MM-DDThh:mm:ss[.d*](Z|±hh[[:]mm])`. None unless it is a real calendar time; a finer fraction is cut off.
std::optional<TimePointSec> parseTimeSec(std::string_view text);
std::optional<TimePointUSec> parseTimeUSec(std::string_view text);

} // namespace polis::format
