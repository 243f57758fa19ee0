// The schema says the same as the decoder does.
#include "codec_types.hpp"

#include <gtest/gtest.h>

namespace sluice {
namespace {

using test::Whole;

boost::json::object whole_schema() {
  boost::json::object components;
  const auto reference = codec::schema(codec::type_of<Whole>(), components);
  EXPECT_EQ(reference.at("$ref"), "#/components/schemas/Whole");
  EXPECT_TRUE(components.contains("Part") && components.contains("Colour"));
  return components.at("Whole").as_object();
}

TEST(Schema, EveryFieldIsDescribedWithTypeRangeAndDefault) {
  const auto schema = whole_schema();
  EXPECT_EQ(schema.at("type"), "object");
  EXPECT_EQ(schema.at("additionalProperties"), false) << "unknown fields are refused";
  const auto& properties = schema.at("properties").as_object();
  EXPECT_EQ(properties.size(), codec::type_of<Whole>().members.size());
  EXPECT_EQ(properties.at("on").at("type"), "boolean");
  EXPECT_EQ(properties.at("on").at("default"), true);
  EXPECT_EQ(properties.at("small").at("type"), "integer");
  EXPECT_EQ(properties.at("small").at("minimum"), 0);
  EXPECT_EQ(properties.at("small").at("maximum"), 255);
  EXPECT_EQ(properties.at("port").at("minimum"), 1);
  EXPECT_EQ(properties.at("port").at("maximum"), 65535);
  EXPECT_EQ(properties.at("ratio").at("type"), "number");
  EXPECT_EQ(properties.at("address").at("format"), "ip");
  EXPECT_EQ(properties.at("size").at("enum"), (boost::json::array{10, 20}));
  EXPECT_EQ(properties.at("made").at("readOnly"), true);
  EXPECT_EQ(properties.at("parts").at("items").at("$ref"), "#/components/schemas/Part");
  EXPECT_EQ(properties.at("parts").at("maxItems"), 3);
  EXPECT_EQ(properties.at("by_name").at("additionalProperties").at("$ref"),
            "#/components/schemas/Part");
}

TEST(Schema, RequiredFieldsUnitsAndExamplesAreThere) {
  boost::json::object components;
  codec::schema(codec::type_of<test::Part>(), components);
  const auto& part = components.at("Part").as_object();
  EXPECT_EQ(part.at("required"), (boost::json::array{"name"}));
  EXPECT_EQ(part.at("properties").at("name").at("description"), "what it is called");
  EXPECT_EQ(part.at("properties").at("name").at("maxLength"), 8);
  EXPECT_EQ(part.at("properties").at("name").at("examples"), (boost::json::array{"bolt"}));
  EXPECT_EQ(part.at("properties").at("count").at("x-unit"), "pieces");
  codec::schema(codec::type_of<test::Colour>(), components);
  EXPECT_EQ(components.at("Colour").at("enum"), (boost::json::array{"red", "light-blue"}));
}

}  // namespace
}  // namespace sluice
