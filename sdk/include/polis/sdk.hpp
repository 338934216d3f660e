#pragma once
// Everything that a service includes.

#include <polis/action.hpp>
#include <polis/callers.hpp>
#include <polis/events.hpp>
#include <polis/http.hpp>
#include <polis/kv.hpp>
#include <polis/native.hpp>
#include <polis/service.hpp>
#include <polis/subjective.hpp>
#include <polis/table.hpp>
