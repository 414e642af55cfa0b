//! The classes of the true map, and the materials they are made of.

/// One class of the true map.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Class {
    /// Pixel value in the label raster; 0 is nodata and no class.
    pub value: u8,
    /// Name in `classification:classes` and in [`crate::SceneSpec::classes`].
    pub name: &'static str,
    /// In words.
    pub title: &'static str,
    /// Colour as `rrggbb`.
    pub color: &'static str,
}

const fn class(value: u8, name: &'static str, title: &'static str, color: &'static str) -> Class {
    Class { value, name, title, color }
}

/// All classes in the order of their values, which start at 1.
pub const CLASSES: [Class; 10] = [
    class(1, "water", "Lakes and ponds", "2b6cb0"),
    class(2, "broadleaf", "Broad-leaved forest", "3f8f3f"),
    class(3, "conifer", "Coniferous forest", "1b4d2b"),
    class(4, "grassland", "Mown grassland", "a8d06a"),
    class(5, "winter_wheat", "Winter wheat", "e3c565"),
    class(6, "maize", "Maize", "f08c2e"),
    class(7, "rapeseed", "Winter rapeseed", "f5ec4c"),
    class(8, "sugar_beet", "Sugar beet", "b0467e"),
    class(9, "built_up", "Buildings, yards and gardens", "c0392b"),
    class(10, "road", "Roads", "6b6b6b"),
];

/// What covers a spot of ground: finer than a class, since a village holds roofs, yards and gardens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Material {
    Water,
    Broadleaf,
    Conifer,
    Grass,
    Wheat,
    Maize,
    Rapeseed,
    Beet,
    TileRoof,
    GreyRoof,
    Paved,
    Garden,
    Asphalt,
}

impl Material {
    /// The value of the class that this material stands for when it covers a parcel.
    pub(crate) fn class_value(self) -> u8 {
        match self {
            Self::Water => 1,
            Self::Broadleaf => 2,
            Self::Conifer => 3,
            Self::Grass => 4,
            Self::Wheat => 5,
            Self::Maize => 6,
            Self::Rapeseed => 7,
            Self::Beet => 8,
            Self::TileRoof | Self::GreyRoof | Self::Paved | Self::Garden => 9,
            Self::Asphalt => 10,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_follow_the_table() {
        for (index, class) in CLASSES.iter().enumerate() {
            assert_eq!(usize::from(class.value), index + 1);
            assert!(class.color.len() == 6 && u32::from_str_radix(class.color, 16).is_ok());
        }
    }
}
