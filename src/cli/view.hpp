// Reads replies leniently: what a newer or older daemon leaves out is empty, what it adds is
// ignored.
#pragma once

#include <boost/json.hpp>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace sluice::cli {

/// A value inside of a reply, or nothing. Does not own it.
class View {
 public:
  View() = default;
  View(const boost::json::value& value) : value_(&value) {}
  View(boost::json::value&&) = delete;

  /// The member of that name; nothing if this is no object or has none.
  View operator[](std::string_view name) const {
    const auto* object = value_ == nullptr ? nullptr : value_->if_object();
    const auto* member = object == nullptr ? nullptr : object->if_contains(name);
    return member == nullptr ? View() : View(*member);
  }
  explicit operator bool() const { return value_ != nullptr && !value_->is_null(); }

  /// The text, also of a number; empty if it is neither.
  std::string text() const {
    if (value_ == nullptr)
      return {};
    if (const auto* string = value_->if_string())
      return std::string(*string);
    return value_->is_number() ? boost::json::serialize(*value_) : std::string();
  }
  /// The number as a whole one that is not negative; 0 if it is none.
  std::uint64_t number() const {
    boost::system::error_code error;
    const auto number = value_ == nullptr ? 0 : value_->to_number<std::uint64_t>(error);
    return error ? 0 : number;
  }
  bool flag(bool otherwise = false) const {
    const auto* boolean = value_ == nullptr ? nullptr : value_->if_bool();
    return boolean == nullptr ? otherwise : *boolean;
  }
  /// The elements; none if this is no list.
  const boost::json::array& items() const {
    static const boost::json::array none;
    const auto* array = value_ == nullptr ? nullptr : value_->if_array();
    return array == nullptr ? none : *array;
  }

  /// The members in the order of the document; none if this is no object.
  std::vector<std::pair<std::string, boost::json::value>> members() const {
    std::vector<std::pair<std::string, boost::json::value>> all;
    if (const auto* object = value_ == nullptr ? nullptr : value_->if_object())
      for (const auto& member : *object)
        all.emplace_back(member.key(), member.value());
    return all;
  }

 private:
  const boost::json::value* value_ = nullptr;
};

}  // namespace sluice::cli
