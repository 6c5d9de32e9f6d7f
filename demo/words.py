"""The words people and courses are named with. All of it is made up; nobody is meant."""

from __future__ import annotations

_GIVEN = """
Aaliyah Abena Adrian Agnieszka Aiko Alejandra Amara Amir Ana Anders Anjali Arjun Astrid Ayşe Beatriz
Benedek Bilal Bjarne Camila Carmen Chidi Chloé Clara Daiki Dalia Dara Darnell Deepa Diego Dmitri Ebba
Eduardo Efua Eleni Elias Emeka Emre Esperanza Esther Eun-ji Farah Fatima Felipe Fiona Freya Gabriela
Giorgos Grace Guadalupe Hamza Hana Hannah Hassan Hiroshi Ibrahim Idris Imani Inés Ioana Isaac Ishaan
Ivana Jada Jamal Jasmin Javier Jelena Jin Joaquín João Jolanta Josephine Kaito Kamala Karim Keisha
Khadija Kofi Kwame Lan Latoya Leila Leon Lilian Linh Lucía Luka Mai Malik Mara Marcus Mateo Mei Mikkel
Minh Miriam Moana Nadia Nia Niamh Nikhil Noor Nuria Oluwaseun Omar Owen Paloma Pavel Petra Pilar Priya
Quentin Rachel Rafael Rania René Rhys Rohan Rosa Ruth Sabine Salma Samuel Santiago Sefa Seo-yeon Siobhan
Sofía Solveig Suda Tariq Tenzin Teresa Thabo Tomás Tuan Uma Valentina Vikram Wanjiru Wen Xiomara Yara
Yusuf Zainab Zoë Zsófia
"""

_FAMILY = """
Abdi Adeyemi Aguilar Alvarado Andersen Asante Aydin Baker Balogun Banerjee Barros Becker Bianchi Brennan
Calderón Campbell Carvalho Castillo Chanda Chowdhury Cohen Contreras Cooper Costa Dang Dauda Delgado
Demir Desai Diallo Domínguez Dvorak Eriksen Escobar Espinoza Evans Farkas Ferreira Fischer Fitzgerald
Flores Fofana Fuentes Gallagher García Georgiou Ghosh Gomes Greene Gutiérrez Haddad Hakimi Halvorsen
Hassan Hernández Hirano Ho Horváth Hughes Ibáñez Inoue Iyer Jankowski Jefferson Jensen Joshi Kamara
Kapoor Karlsson Kaya Keller Kim Kimura Kovács Krishnan Kruger Lam Larsen Le Leblanc Lindgren Lopes Ma
Mahlangu Malik Marković Martínez Mbeki McAllister Mehta Mendoza Mensah Meyer Mitchell Molina Moreau
Mutua Nakamura Ndiaye Nguyen Novak Núñez Nyambura Oduya Okafor Olsen Onyango Ortega Osei Papadakis Park
Patel Pereira Petrov Pham Popescu Quispe Rahman Ramírez Rao Reyes Robinson Rojas Romano Rossi Saito
Salazar Santos Sato Schneider Shapiro Sharma Silva Sithole Soto Suzuki Szabó Takahashi Tembo Tesfaye
Torres Tran Tshabalala Uddin Vargas Vasquez Vega Virtanen Wagner Walker Wang Washington Wójcik Wu
Yamamoto Yang Yeo Yilmaz Zapata Zhang Zhou El-Sayed Smith-Okoro
"""

GIVEN_NAMES: tuple[str, ...] = tuple(_GIVEN.split())
FAMILY_NAMES: tuple[str, ...] = (*_FAMILY.split(), "O'Connell", "D'Angelo", "de la Cruz", "van der Berg")

#: grade -> course titles with their codes; every pupil of the grade takes all of them
COURSES: dict[str, tuple[tuple[str, str], ...]] = {
    "06": (("ENG6", "English 6"), ("MAT6", "Mathematics 6"), ("SCI6", "Earth Science"), ("SOC6", "Ancient Cultures")),
    "07": (("ENG7", "English 7"), ("MAT7", "Mathematics 7"), ("SCI7", "Life Science"), ("SOC7", "World Geography")),
    "08": (("ENG8", "English 8"), ("ALG0", "Pre-Algebra"), ("SCI8", "Physical Science"), ("SOC8", "U.S. History")),
    "09": (("ENG9", "English 9"), ("ALG1", "Algebra 1"), ("BIO1", "Biology"), ("ART9", "Art and Design")),
    "10": (("ENG10", "English 10"), ("GEO1", "Geometry"), ("CHE1", "Chemistry"), ("SPA1", "Spanish 1")),
    "11": (("ENG11", "English 11"), ("ALG2", "Algebra 2"), ("PHY1", "Physics"), ("SPA2", "Spanish 2")),
    "12": (("ENG12", "English 12"), ("STA1", "Statistics"), ("GOV1", "Government"), ("JRN1", "Journalism")),
}
