/* Content of the example kiosk. Figures: NASA, Planetary Fact Sheet. */

export const PLANETS = [
  {
    id: "mercury", name: "Mercury", place: "First from the Sun",
    story: "Its year is over after 88 days, but from one noon to the next two of its years go by.",
    facts: { Diameter: "4,879 km", Day: "4,223 h", Moons: "none" },
  },
  {
    id: "venus", name: "Venus", place: "Second from the Sun",
    story: "The hottest of them all, under clouds that never part, and it turns the other way round.",
    facts: { Diameter: "12,104 km", Day: "2,802 h", Moons: "none" },
  },
  {
    id: "earth", name: "Earth", place: "Third from the Sun",
    story: "The only one known to have hands, and so the only one where this kiosk is of any use.",
    facts: { Diameter: "12,756 km", Day: "24 h", Moons: "1" },
  },
  {
    id: "mars", name: "Mars", place: "Fourth from the Sun",
    story: "Cold, dry and red with rust. Its volcano Olympus Mons is more than twice as high as Everest.",
    facts: { Diameter: "6,792 km", Day: "24.7 h", Moons: "2" },
  },
  {
    id: "jupiter", name: "Jupiter", place: "Fifth from the Sun",
    story: "Heavier than all other planets together, with a storm that has been watched for centuries.",
    facts: { Diameter: "142,984 km", Day: "9.9 h", Year: "12 years" },
  },
  {
    id: "saturn", name: "Saturn", place: "Sixth from the Sun",
    story: "Its rings are ice and dust, wider than the way from here to the Moon, and thinner than a village.",
    facts: { Diameter: "120,536 km", Day: "10.7 h", Year: "29 years" },
  },
];
